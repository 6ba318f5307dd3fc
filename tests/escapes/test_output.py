"""What comes out of a job: its log and its result, bounded and plain whatever the hook hands over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.hook import Limits
from engine.outcome import Outcome

FLOODS = {
    "many": "for i in range(10**6):\n    console.log('x' * 100)",
    "many empty": "for i in range(10**6):\n    console.log()",
    "print": "for i in range(10**6):\n    print()",
    "one huge": "console.log('x' * 10**7)",
    "wide": "console.log('\\U0001F600' * 10**6)",
    "many values": "console.log(*range(10**5))",
    "separator": "print(*range(1000), sep='x' * 10**4)",
    "end": "print('a', end='x' * 10**7)",
    "errors": "for i in range(10**5):\n    console.error('x')",
    "recursion": "def f():\n    console.log('x')\n    f()\nf()",
}
NOT_PLAIN = {
    "nan": "float('nan')",
    "infinity": "[float('inf')]",
    "nan of a subclass": "F('nan')",
    "set": "{1, 2}",
    "bytes": "b'x'",
    "function": "hook",
    "class": "Error",
    "cb": "cb",
    "console": "console",
    "facade": "require('json')",
    "generator": "(x for x in [])",
    "object": "object()",
    "complex": "1j",
    "decimal": "require('decimal').Decimal(1)",
    "date": "require('datetime').date(2026, 1, 1)",
    "key of int": "{1: 2}",
    "key of None": "{None: 2}",
    "key of a tuple": "{('a', 'b'): 2}",
    "half a surrogate": "'\\ud800'",
    "half a surrogate as a key": "{'\\udfff': 1}",
    "cycle": "cycle",
    "cycle of dicts": "ring",
    "deep": "deep",
    "digits": "10 ** 5000",
    "huge": "'x' * 300000",
    "huge list": "[0] * 200000",
    "range": "range(3)",
}
PRELUDE = """
class F(float):
    pass
cycle = []
cycle.append(cycle)
ring = {}
ring["ring"] = [ring]
deep = []
for i in range(150):
    deep = [deep]
"""
LIES = """
class Lies(BASE):
    def __iter__(self):
        raise ValueError
    def __len__(self):
        raise ValueError
    def __getitem__(self, place):
        raise ValueError
    def __getattr__(self, name):
        raise ValueError
    def __str__(self):
        raise ValueError
    __repr__ = __int__ = __float__ = __index__ = __bool__ = __reversed__ = __contains__ = __copy__ = __len__
    def __add__(self, other):
        raise ValueError
    __radd__ = __mul__ = __format__ = __add__
"""
SUBCLASSES = {
    "str": ("class S(str):\n    def encode(self, *a):\n        return b'evil'\n", "S('text')", "text"),
    "str by init": ("class S(str):\n    def __init__(self, *a):\n        pass\n", "[S('text')]", ["text"]),
    "str that lies": (LIES.replace("BASE", "str"), "[Lies('text')]", ["text"]),
    "str as a key": (LIES.replace("BASE", "str"), "{Lies('text'): {Lies('a'): 1}}", {"text": {"a": 1}}),
    "int": ("class I(int):\n    def __lt__(self, o):\n        return True\n", "I(5)", 5),
    "int that lies": (LIES.replace("BASE", "int"), "[Lies(5)]", [5]),
    "float that lies": (LIES.replace("BASE", "float"), "Lies(2.5)", 2.5),
    "list with an iterator": (LIES.replace("BASE", "list"), "Lies([1, 2])", [1, 2]),
    "tuple with an iterator": (LIES.replace("BASE", "tuple"), "Lies((1, 2))", [1, 2]),
    "dict with an iterator": (LIES.replace("BASE", "dict"), "Lies(a=1)", {"a": 1}),
    "float": ("class F(float):\n    pass\n", "F(1.5)", 1.5),
    "dict": ("class D(dict):\n    def items(self):\n        raise ValueError\n", "D(a=1)", {"a": 1}),
    "dict that lies": ("class D(dict):\n    def items(self):\n        return [('b', hook)]\n", "D(a=1)", {"a": 1}),
    "list": ("class L(list):\n    def __contains__(self, o):\n        raise ValueError\n", "L([1])", [1]),
    "tuple": ("from collections import namedtuple\nT = namedtuple('T', 'a b')\n", "T(1, 2)", [1, 2]),
    "counter": ("from collections import Counter\n", "Counter('aa')", {"a": 2}),
    "default dict": ("from collections import defaultdict\n", "defaultdict(list, a=1)", {"a": 1}),
    "int enum": ("from enum import IntEnum\nclass E(IntEnum):\n    a = 1\n", "E.a", 1),
    "str enum": ("from enum import StrEnum\nclass E(StrEnum):\n    a = 'x'\n", "E.a", "x"),
}


@pytest.mark.parametrize("body", FLOODS.values(), ids=FLOODS.keys())
def test_a_flood_of_logs_is_cut_and_marked(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], limits: type[Limits], body: str
) -> None:
    """The log has a bound; the hook goes on in silence."""
    outcome = attack(hook_of(body + "\ncb()\n"), limits=limits(wall_ms=2_500, log_bytes=10_000))

    assert outcome.status in ("ok", "raised")
    assert sum(len(event.text.encode()) for event in outcome.logs) < 11_000
    assert len(outcome.logs) < 400
    assert "log truncated" in outcome.logs[-1].text


@pytest.mark.parametrize("copier", ["copy.copy", "copy.deepcopy"])
def test_the_console_cannot_be_copied(attack: Callable[..., Outcome], hook_of: Callable[..., str], copier: str) -> None:
    """A copy would have a log budget of its own."""
    outcome = attack(hook_of(f"import copy\nfor i in range(5):\n    {copier}(console).log('x' * 60000)\ncb()"))

    assert ("raised", "TypeError: the console cannot be copied") == (outcome.status, outcome.message)
    assert () == outcome.logs


def test_no_log_is_no_log(attack: Callable[..., Outcome], hook_of: Callable[..., str], limits: type[Limits]) -> None:
    """A bound of nothing lets nothing through."""
    assert () == attack(hook_of("console.log('x')\ncb()"), limits=limits(log_bytes=0)).logs


@pytest.mark.parametrize(
    "text", ["a\\nb", "\\x1b[2J", "\\x00", "\\r", "\\x7f", "\\u2028", "\\u202e", '"}\\n{"level":"error"']
)
def test_a_control_character_forges_no_log_line(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], text: str
) -> None:
    """An outcome is one line of JSON whatever its texts hold."""
    outcome = attack(hook_of(f"console.log('{text}')\ncb()"))

    assert 1 == len(outcome.logs)
    assert not any(byte < 0x20 for byte in outcome.json())


def test_half_a_surrogate_in_a_log_is_replaced(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """A log event is text that UTF-8 can carry."""
    assert ["a?b"] == [event.text for event in attack(hook_of("print('a\\ud800b')\ncb()")).logs]


@pytest.mark.parametrize("file", ["json", "user", "console", "cb", "require", "Error", "5"])
def test_print_writes_to_nothing_that_a_hook_could_not_write_to(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], file: str
) -> None:
    """`file=` is asked for its write, as the hook itself may; what is shared has none."""
    outcome = attack(hook_of(f"print('PW' + 'NED', file={file}, flush=True)\ncb()", "import json\n"))

    assert ("raised", ()) == (outcome.status, outcome.logs)


def test_a_text_that_raises_is_the_hooks_own_error(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """What fails while it is shown fails in the hook that shows it."""
    before = "class Bad(str):\n    pass\nclass Worse(Exception):\n    pass\n"
    body = "bad = Worse()\nbad.args = (bad,)\nconsole.log(bad)\ncb()\n"

    assert attack(hook_of(body, before)).status in ("ok", "raised")


@pytest.mark.parametrize("expression", NOT_PLAIN.values(), ids=NOT_PLAIN.keys())
def test_a_response_that_is_no_json_is_refused(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], expression: str
) -> None:
    """Only what JSON has, exactly, is a result."""
    outcome = attack(hook_of(f"cb(None, {expression})", PRELUDE))

    assert ("bad_result", b"null") == (outcome.status, bytes(outcome.result))
    assert outcome.message
    assert len(outcome.json()) < 20_000


@pytest.mark.parametrize(("before", "expression", "plain"), SUBCLASSES.values(), ids=SUBCLASSES.keys())
def test_a_subclass_is_rebuilt_as_what_it_extends(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], before: str, expression: str, plain: Any
) -> None:
    """No method of the hook's answers while its response is read."""
    outcome = attack(hook_of(f"cb(None, {expression})", before))

    assert ("ok", plain) == (outcome.status, outcome.value() if outcome.status == "ok" else outcome.message)


@pytest.mark.parametrize("name", ["__eq__", "__hash__"])
@pytest.mark.parametrize("base", ["str", "int", "float", "tuple"])
def test_a_text_or_number_of_the_hooks_own_equals_what_it_extends(
    reach: Callable[..., Outcome], base: str, name: str
) -> None:
    """Such a value is compared by C code, in ours and in later jobs: a class may not say itself what it equals."""
    outcome = reach("S", before=f"class S({base}):\n    def {name}(self, *given):\n        return 1\n")

    assert f"TypeError: a class that derives from {base} may not change {name}" == outcome.message


def test_a_response_is_read_when_it_is_given(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """What the hook changes afterwards is not in the result."""
    outcome = attack(hook_of("answer = {'a': 1}\ncb(None, answer)\nanswer['a'] = 2\nanswer['b'] = float('nan')"))

    assert ("ok", {"a": 1}) == (outcome.status, outcome.value())


def test_a_response_that_shares_its_parts_is_ended(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], limits: type[Limits]
) -> None:
    """Sixty lists that each hold the last one twice are an exabyte of JSON."""
    body = "a = [1]\nfor i in range(60):\n    a = [a, a]\ncb(None, a)"

    assert attack(hook_of(body), limits=limits(wall_ms=500)).status in ("timeout", "bad_result", "out_of_memory")


def test_a_number_of_four_thousand_digits_arrives(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """JSON has no bound on numbers; ours is Python's."""
    assert b"1" + b"0" * 4000 == bytes(attack(hook_of("cb(None, 10 ** 4000)")).result)


def test_a_result_at_its_limit_arrives_and_one_over_does_not(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], limits: type[Limits]
) -> None:
    """The bound counts bytes of JSON."""
    at = attack(hook_of("cb(None, 'x' * 98)"), limits=limits(result_bytes=100))
    over = attack(hook_of("cb(None, 'x' * 99)"), limits=limits(result_bytes=100))

    assert ("ok", "bad_result") == (at.status, over.status)
