"""What an exception carries, and what raising can do to those who catch."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.app import Limits
from engine.outcome import Outcome

PRIVATE = ["__traceback__", "__context__", "__cause__", "__suppress_context__", "__reduce__", "__class__", "__dict__"]
OBJECTS = ["json.codecs", "console.nothing", "cb.nothing", "Error.nothing"]


@pytest.mark.parametrize("name", PRIVATE)
def test_the_private_attributes_of_an_exception_are_refused(reach: Callable[..., Outcome], name: str) -> None:
    """A traceback leads to frames, and frames lead everywhere."""
    outcome = reach("found", f"try:\n    1 / 0\nexcept Exception as error:\n    found = error.{name}\n")

    assert ("rejected", "attribute") == (outcome.status, outcome.diagnostics[0].rule)


@pytest.mark.parametrize("name", PRIVATE)
def test_the_private_attributes_of_an_exception_are_refused_by_getattr(
    reach: Callable[..., Outcome], name: str
) -> None:
    """The same, with the name computed."""
    outcome = reach("found", f"try:\n    1 / 0\nexcept Exception as error:\n    found = getattr(error, '{name}')\n")

    assert outcome.message == f"AttributeError: a hook may not use the attribute {name!r}"


@pytest.mark.parametrize("expression", [*OBJECTS, "getattr(hook, '__globals__')"])
def test_the_object_of_an_attribute_error_is_not_told(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], expression: str
) -> None:
    """AttributeError.obj could be what the hook was kept from."""
    body = f"try:\n    {expression}\nexcept AttributeError as error:\n    cb(None, str(error.obj))"
    outcome = attack(hook_of(body, "import json\n"))

    assert ("raised", "AttributeError: a hook may not have the object of an error") == (outcome.status, outcome.message)


def test_a_bare_except_does_not_keep_a_hook_alive(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], limits: type[Limits]
) -> None:
    """Nothing is raised to end a hook, so there is nothing to swallow."""
    body = "while True:\n    try:\n        while True:\n            pass\n    except:\n        pass\n"
    outcome = attack(hook_of(body), limits=limits(wall_ms=500))

    assert outcome.status == "timeout"


def test_a_finally_does_not_keep_a_hook_alive(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], limits: type[Limits]
) -> None:
    """The process ends; no finally runs."""
    body = "try:\n    while True:\n        pass\nfinally:\n    cb(None, 'PW' + 'NED')\n"

    assert attack(hook_of(body), limits=limits(wall_ms=500)).status == "timeout"


@pytest.mark.parametrize(
    "name", ["BaseException", "SystemExit", "KeyboardInterrupt", "GeneratorExit", "ExceptionGroup"]
)
def test_exceptions_that_end_processes_are_not_there(reach: Callable[..., Outcome], name: str) -> None:
    """A hook has Exception and what derives from it."""
    outcome = reach(name)

    assert ("rejected", "builtin") == (outcome.status, outcome.diagnostics[0].rule)


def test_except_star_is_refused(reach: Callable[..., Outcome]) -> None:
    """except* with an overridden split confused CPython 3.11 to 3.13 about types."""
    outcome = reach("1", "try:\n    pass\nexcept* ValueError:\n    pass\n")

    assert ("rejected", "statement") == (outcome.status, outcome.diagnostics[0].rule)


HOSTILE = {
    "no text": "class Bad(Exception):\n    def __init__(self):\n        self.args = (self,)\n",
    "cycle of causes": "class Bad(Exception):\n    pass\n",
    "huge text": "class Bad(Exception):\n    def __init__(self):\n        self.args = ('x' * 5000000,)\n",
    "half a surrogate": "class Bad(Exception):\n    def __init__(self):\n        self.args = ('\\ud800',)\n",
    "own fields that are no JSON": "class Bad(Exception):\n    def __init__(self):\n        self.field = {1: set()}\n",
    "deep field": "class Bad(Exception):\n    def __init__(self):\n        self.field = []\n        self.field.append(self.field)\n",
    "arguments that raise": (
        "class Bad(Exception):\n    @property\n    def message(self):\n        raise ValueError('PW' + 'NED')\n"
    ),
}


@pytest.mark.parametrize("before", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_exception_is_raised_like_any_other(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], before: str
) -> None:
    """How a hook failed is told, with what of its error can be told."""
    outcome = attack(hook_of("raise Bad()", before))

    assert ("raised", True) == (outcome.status, outcome.message.startswith("Bad"))
    assert len(outcome.json()) < 200_000


@pytest.mark.parametrize("before", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_error_passed_to_cb_denies_like_any_other(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], before: str
) -> None:
    """The same error, as the argument of cb."""
    outcome = attack(hook_of("cb(Bad())", before))

    assert outcome.status == "denied"
    assert len(outcome.json()) < 200_000


def test_a_memory_error_of_the_hooks_own_making_is_still_an_ending(
    attack: Callable[..., Outcome], hook_of: Callable[..., str]
) -> None:
    """`raise MemoryError` ends that job and its worker, nothing else."""
    assert attack(hook_of("raise MemoryError('PW')")).status in ("raised", "out_of_memory")


def test_a_syntax_error_of_the_hooks_own_making_reads_no_file(
    attack: Callable[..., Outcome], hook_of: Callable[..., str]
) -> None:
    """No message of ours shows source lines of a file that a hook names."""
    body = "import json\ntry:\n    json.loads('x')\nexcept ValueError as error:\n    error.filename = '/etc/passwd'\n    raise\n"
    outcome = attack(hook_of(body))

    assert "raised" == outcome.status
    assert b"root:" not in outcome.json()
