"""cb: called twice, late, never, and with objects that strike back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.outcome import Outcome

HOSTILE = {
    "int": "5",
    "zero": "0",
    "empty text": "''",
    "list": "[1]",
    "dict with a number": "{'message': 5}",
    "dict with a list": "{'message': [hook]}",
    "document with a number": "type(user)(message=5)",
    "message that raises": "Raises()",
    "message that is a class": "Message(Error)",
    "message of its own kind": "Message(Text('x'))",
    "text that cannot encode": "Text('x')",
    "error class": "Error",
    "cb": "cb",
    "console": "console",
    "facade": "require('json')",
    "huge text": "'x' * 10**7",
    "half a surrogate": "'\\ud800'",
    "error of errors": "Error(Error(Error('x')))",
    "error of nothing": "Error(None)",
    "error with hostile fields": "Fields()",
    "error that equals all": "Equal()",
    "unequal to None": "Equal",
    "bytes": "b'x'",
    "nan": "float('nan')",
    "any attribute": "Any()",
    "any attribute of an error": "AnyError()",
    "dict that lies": "Mapped(message='x')",
    "dict without a message": "Mapped()",
    "dict with any attribute": "{'message': Any()}",
    "group": "ExceptionGroup('several', [ValueError('x'), AnyError()])",
    "class that is never true": "Any",
    "own class as an error class": "AnyError",
}
PRELUDE = """
class Raises:
    @property
    def message(self):
        raise ValueError("mine")
class Message:
    def __init__(self, message):
        self.message = message
class Text(str):
    def encode(self, *given):
        raise ValueError("mine")
    def startswith(self, *given):
        raise ValueError("mine")
class Fields(Error):
    def __init__(self):
        self.a = hook
        self.b = {1: 2}
        self.c = [[]]
        self.message = Raises()
        self.c.append(self.c)
        self.name = "RealName"
class Equal(Exception):
    def __eq__(self, other):
        raise ValueError("mine")
class Any:
    def __getattr__(self, name):
        return self
    def __str__(self):
        raise ValueError("mine")
    __repr__ = __bool__ = __len__ = __iter__ = __call__ = __hash__ = __str__
    def __format__(self, spec):
        raise ValueError("mine")
    __getitem__ = __contains__ = __eq__ = __ne__ = __format__
class AnyError(Any, Exception):
    pass
class Mapped(dict):
    def get(self, *given):
        raise ValueError("mine")
    __getitem__ = __missing__ = __contains__ = __iter__ = __str__ = __repr__ = items = keys = get
"""


@pytest.mark.parametrize("expression", HOSTILE.values(), ids=HOSTILE.keys())
def test_whatever_is_passed_as_an_error_denies(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], expression: str
) -> None:
    """Any error but None and False denies; nothing that it does while it is read changes that."""
    outcome = attack(hook_of(f"cb({expression}, 'PW' + 'NED')", PRELUDE))

    assert ("denied", b"null") == (outcome.status, bytes(outcome.result))
    assert 0 < len(outcome.message) <= 4096
    assert len(outcome.json()) < 200_000


@pytest.mark.parametrize("error", ["None", "False"])
def test_no_error_is_success(attack: Callable[..., Outcome], hook_of: Callable[..., str], error: str) -> None:
    """As in JavaScript, null and false are no error."""
    assert ("ok", 1) == ((out := attack(hook_of(f"cb({error}, 1)"))).status, out.value())


TWICE = {
    "success then error": "cb(None, 1)\ncb(Error('late'))",
    "success then success": "cb(None, 1)\ncb(None, 2)",
    "a thousand times": "for i in range(1, 1000):\n    cb(None, i)",
    "bad arguments then good": "try:\n    cb(nothing=1)\nexcept TypeError:\n    pass\ncb(None, 1)",
    "then raises": "cb(None, 1)\nraise ValueError('late')",
    "then raises what cannot be shown": "class B(Exception):\n    pass\nb = B()\nb.args = (b,)\ncb(None, 1)\nraise b",
    "inside the hook's own error": "try:\n    1 / 0\nexcept Exception:\n    cb(None, 1)\n    raise",
    "in a finally": "try:\n    1 / 0\nfinally:\n    cb(None, 1)",
    "in a generator": "list(cb(None, i) for i in [1, 2])",
    "in a sort": "sorted([2, 1], key=lambda x: cb(None, 1) or x)",
    "returned": "return cb(None, 1)",
    "in a map": "list(map(cb, [None, None], [1, 2]))",
    "by a partial": "require('functools').partial(cb, None)(1)",
    "by a copy": "copied = require('copy').deepcopy(cb)\ncopied(None, 1)\ncb(None, 2)",
    "by a repeated read": "class A:\n    pass\na = A()\na.cb = cb\na.cb(None, 1)\na.cb(None, 2)",
    "in a reading response": "class D(dict):\n    def items(self):\n        cb(Error('inner'))\ncb(None, 1)\ncb(None, D())",
}


@pytest.mark.parametrize("body", TWICE.values(), ids=TWICE.keys())
def test_the_first_call_counts_whatever_follows(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], body: str
) -> None:
    """Cb settles once."""
    outcome = attack(hook_of(body))

    assert ("ok", 1) == (outcome.status, outcome.value())


def test_running_out_of_memory_after_cb_does_not_unsay_it(
    attack: Callable[..., Outcome], hook_of: Callable[..., str]
) -> None:
    """What was said by cb was said. 2026-11-22."""
    outcome = attack(hook_of("cb(None, 1)\nx = bytearray(10**10)"))

    assert outcome.status in ("ok", "out_of_memory")


@pytest.mark.parametrize(
    "line", ["cb.settled = False", "cb.response = 'PW' + 'NED'", "setattr(cb, 'line', 'x')", "del cb.settled"]
)
def test_what_cb_has_settled_is_out_of_reach(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], line: str
) -> None:
    """Cb is a function; its state is not an attribute."""
    outcome = attack(hook_of(f"cb(None, 1)\n{line}"))

    assert ("ok", 1) == (outcome.status, outcome.value())


def test_cb_of_an_earlier_job_settles_nothing(
    run_hook: Callable[..., Outcome], hook_of: Callable[..., str], tenant: str
) -> None:
    """A callback that outlives its job reaches neither the next result nor the next log."""
    run_hook(hook_of("module.exports = cb\nError.kept = cb", ""), tenant=tenant)
    outcome = run_hook(hook_of("cb(None, hasattr(Error, 'kept'))"), tenant=tenant)

    assert ("ok", False, ()) == (outcome.status, outcome.value(), outcome.logs)


@pytest.mark.parametrize(
    "source",
    [
        "def hook(user, context, cb):\n    return cb\n",
        "def hook(user, context, cb):\n    yield cb(None, 'PW' + 'NED')\n",
        "hook = 5\n",
        "hook = None\n",
        "class hook:\n    def __init__(self, user, context, cb):\n        pass\n",
        "hook = lambda *given: None\n",
        "module.exports = lambda user, context, cb: None\n",
        "x = 1\n",
    ],
    ids=["returned", "generator", "number", "nothing", "class", "lambda", "exports", "no entry"],
)
def test_a_hook_that_never_calls_cb_says_so(attack: Callable[..., Outcome], source: str) -> None:
    """An entry that is none, or that does not call cb, is the author's mistake and told as one."""
    outcome = attack(source)

    assert ("no_callback", True) == (outcome.status, bool(outcome.message))


@pytest.mark.parametrize(
    "source", ["module = 5\n", "del module\n", "module.exports = 5\n", "del cb\n", "user = context = cb = None\n"]
)
def test_a_spoilt_namespace_harms_only_its_own_job(attack: Callable[..., Outcome], source: str) -> None:
    """The names of the file are the hook's to spoil."""
    outcome = attack(source + "def hook(user, context, cb):\n    cb(None, 1)\n")

    assert outcome.status in ("ok", "raised", "no_callback")


def test_cb_called_by_the_file_before_the_entry_counts(attack: Callable[..., Outcome]) -> None:
    """The callback is in scope of the file, and settles there as anywhere."""
    outcome = attack("cb(None, 1)\ndef hook(user, context, cb):\n    cb(None, 2)\n")

    assert ("ok", 1) == (outcome.status, outcome.value())
