"""The real wall holds against every probe; a wall that lacks a layer is caught by the probe of that layer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engine import layers
from engine.errors import LayerMissing
from engine.spawner import Spawner, ZygoteSetting
from sandbox import probes, wire

UID = 61_061


@contextlib.contextmanager
def prober(*command: str) -> Iterator[Callable[[str], layers.Finding]]:
    """`probe(name)` on a zygote started by `command`."""
    setting = ZygoteSetting(
        worker_uid=UID, memory_bytes=64 << 20, cpu_s=60, allow_missing_layers=frozenset(), command=command
    )
    with asyncio.Runner() as runner:
        spawner = runner.run(_start(setting))
        try:
            yield lambda name: runner.run(layers.probe(spawner, name))
        finally:
            runner.run(spawner.close())


async def _start(setting: ZygoteSetting) -> Spawner:
    spawner = Spawner(setting)
    await spawner.start()
    return spawner


@pytest.fixture(scope="module")
def probe() -> Iterator[Callable[[str], layers.Finding]]:
    """`probe(name)` on the whole wall."""
    with prober("sandbox.zygote") as whole:
        yield whole


@pytest.mark.parametrize("name", wire.LAYER_NAMES)
def test_a_layer_of_the_whole_wall_is_in_place(probe: Callable[..., Any], name: str) -> None:
    found = probe(name)

    assert (name, True) == (found.name, found.held), found.detail


@pytest.mark.parametrize("name", probes.ALL_ATTEMPTS)
def test_an_attempt_is_stopped(probe: Callable[..., Any], name: str) -> None:
    found = probe(name)

    assert (name, True) == (found.name, found.held), found.detail
    assert found.detail.startswith(("killed by the filter", "refused: "))


def test_the_catalogue_tells_every_attempt(probe: Callable[..., Any]) -> None:
    assert list(probes.ALL_ATTEMPTS) == probe(probes.CATALOGUE).detail.split()


@pytest.mark.parametrize("name", ["getppid", "uname", "fork", "socket_inet"])
def test_what_would_work_without_the_filter_dies_of_it(probe: Callable[..., Any], name: str) -> None:
    """These calls need no right at all: nothing but the filter can have stopped them."""
    assert probe(name).detail == "killed by the filter"


def test_attempts_do_not_carry_the_names_of_layers() -> None:
    assert not set(probes.ALL_ATTEMPTS) & {*wire.LAYER_NAMES, probes.CATALOGUE}
    assert all(len(name) <= 64 for name in probes.ALL_ATTEMPTS)


@pytest.mark.parametrize("layer", wire.LAYER_NAMES)
def test_a_missing_layer_is_found_by_its_own_probe(layer: str) -> None:
    """The doctor's zygote, which lacks one layer: in namespaces of its own and never as root."""
    with prober("sandbox.doctor", layer) as probe:
        found = probe(layer)

    assert (layer, False) == (found.name, found.held), found.detail
    assert found.detail != "in place"


def test_an_engine_does_not_start_behind_a_wall_with_a_gap() -> None:
    async def start() -> None:
        setting = ZygoteSetting(
            worker_uid=UID,
            memory_bytes=64 << 20,
            cpu_s=60,
            allow_missing_layers=frozenset(),
            command=("sandbox.doctor", "landlock"),
        )
        spawner = await _start(setting)
        try:
            with pytest.raises(LayerMissing, match=r"landlock: the worker can open|landlock: the root folder"):
                await layers.prove(spawner, frozenset())
            await layers.prove(spawner, frozenset({"landlock"}))
        finally:
            await spawner.close()

    asyncio.run(start())
