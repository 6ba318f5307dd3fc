"""A start without a whole wall is refused. The doctor's own zygote lacks a layer, so that this can be seen."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from engine import layers
from engine.errors import LayerMissing
from sandbox.doctor import _LEANING
from sandbox.wire import LAYER_NAMES


async def test_a_start_with_every_layer_is_accepted(spawner_of: Any) -> None:
    """Each probe finds its layer in place."""
    async with spawner_of() as spawner:
        found = await asyncio.gather(*(layers.probe(spawner, name) for name in LAYER_NAMES))
        await layers.prove(spawner, frozenset())

        assert [(name, True) for name in LAYER_NAMES] == [(finding.name, finding.held) for finding in found]
        assert all(finding.detail for finding in found)


@pytest.mark.parametrize("layer", LAYER_NAMES)
async def test_a_start_with_a_missing_layer_is_refused_unless_it_is_allowed(spawner_of: Any, layer: str) -> None:
    """The error names the layer and says what was found; the operator may accept it by name, and only by its name.

    Without the layer `descriptors` all numbers below the limit are taken: the probe of the network cannot look.
    """
    leaning = frozenset(_LEANING.get(layer, ())) | ({"namespaces"} if layer == "descriptors" else set())
    others = frozenset(LAYER_NAMES) - {layer}
    async with spawner_of(command=("sandbox.doctor", layer)) as spawner:
        with pytest.raises(LayerMissing) as caught:
            await layers.prove(spawner, frozenset())
        with pytest.raises(LayerMissing, match=layer):
            await layers.prove(spawner, others)
        await layers.prove(spawner, leaning | {layer})

    assert f"{layer}: " in str(caught.value)


@pytest.mark.parametrize("layer", ["landlock", "no_new_privs"])
async def test_the_refusal_says_which_setting_accepts_it(spawner_of: Any, layer: str) -> None:
    """What stands in the message can be copied, also when several layers are missing."""
    async with spawner_of(command=("sandbox.doctor", layer)) as spawner:
        with pytest.raises(LayerMissing) as caught:
            await layers.prove(spawner, frozenset())
        told = re.search(r"HOOKCELL_ALLOW_MISSING_LAYERS='(\[.*\])'", str(caught.value))
        assert told is not None
        named = json.loads(told[1])
        await layers.prove(spawner, frozenset(named))

    assert layer in named
    assert set(named) <= set(LAYER_NAMES)


async def test_probers_can_name_what_they_attempt(spawner_of: Any) -> None:
    """And none of some attempts gets through."""
    async with spawner_of() as spawner:
        names = await layers.attempts(spawner)
        tried = ["open_file", "socket_inet", "execve", "fork", "kill_first"]
        found = [await layers.probe(spawner, name) for name in tried]

    assert len(names) > 50
    assert set(tried) <= set(names)
    assert all(finding.held for finding in found)
