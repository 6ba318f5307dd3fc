"""What an exception carries, and what raising can do to those who catch."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.hook import Limits
from engine.outcome import Outcome

NEVER = [
    "__traceback__",
    "__reduce__",
    "__reduce_ex__",
    "__setstate__",
    "__getstate__",
    "__getattribute__",
    "__module__",
]
OBJECTS = ["json.codecs", "console.nothing", "cb.nothing", "Error.nothing"]
CAUGHT = "try:\n    1 / 0\nexcept Exception as error:\n    found = {}\n"


@pytest.mark.parametrize("name", NEVER)
def test_the_private_attributes_of_an_exception_are_refused(reach: Callable[..., Outcome], name: str) -> None:
    """A traceback leads to frames, and frames lead everywhere."""
    outcome = reach("found", CAUGHT.format(f"error.{name}"))

    assert ("rejected", "attribute") == (outcome.status, outcome.diagnostics[0].rule)


READS = {
    "getattr": "getattr(error, '{}')",
    "getattr with default": "getattr(error, '{}', None)",
    "template": "'{{0.{}}}'.format(error)",
    "template of a cause": "'{{0.__context__.{}}}'.format(within)",
    "its own getattr": "getattr(error.__context__ or error, '{}')",
    "super": "getattr(super(Own, Own()), '{}')",
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
@pytest.mark.parametrize("name", NEVER)
def test_the_private_attributes_of_an_exception_are_refused_by_a_computed_name(
    reach: Callable[..., Outcome], name: str, read: str
) -> None:
    """The same, with the name computed, of the error or of one it is chained to."""
    before = "class Own(Exception):\n    pass\nwithin = Own()\ntry:\n    try:\n        1 / 0\n    finally:\n        raise within\nexcept Own:\n    pass\n"
    outcome = reach("found", CAUGHT.format(read.format(name)), before=before)

    assert outcome.status == "raised"
    assert outcome.message.startswith(f"AttributeError: a hook may not use the attribute {name!r}")


def test_what_an_exception_is_chained_to_is_an_exception(
    attack: Callable[..., Outcome], hook_of: Callable[..., str]
) -> None:
    """`__context__` and `__cause__` hold what was raised, `__dict__` a copy of what the hook put there."""
    body = """
    try:
        try:
            1 / 0
        except Exception as first:
            raise ValueError("second") from first
    except ValueError as error:
        error.field = 1
        copied = error.__dict__
        copied["field"] = copied["args"] = 2
        chain = [str(error.__cause__), error.__context__ is error.__cause__, error.__suppress_context__]
        cb(None, [*chain, error.__class__ is ValueError, error.field, error.args, list(copied)])
    """
    outcome = attack(hook_of(body))

    assert ("ok", ["division by zero", True, True, True, 1, ["second"], ["field", "args"]]) == (
        outcome.status,
        outcome.value(),
    )


@pytest.mark.parametrize(
    "name", ["__cause__", "__context__", "__suppress_context__", "__traceback__", "__notes__", "__class__", "__dict__"]
)
def test_what_an_exception_is_chained_to_is_not_written(reach: Callable[..., Outcome], name: str) -> None:
    """A chain is made by `raise … from …`, which makes no circle and no chain to what is no exception."""
    refused = reach("found", CAUGHT.format("1") + f"error = Error('x')\nerror.{name} = hook\n")
    raised = reach("found", "found = Error('x')\n" + f"setattr(found, '{name}', hook)\n")

    assert ("rejected", "attribute", "raised") == (refused.status, refused.diagnostics[0].rule, raised.status)
    assert raised.message.startswith(f"AttributeError: a hook may not change the attribute {name!r}")


def test_a_chain_is_no_way_past_the_private_names(reach: Callable[..., Outcome]) -> None:
    """Any object may hold an attribute of that name; only an exception's is read."""
    outcome = reach("getattr(hook, '__cause__')")

    assert ("raised", True) == (outcome.status, outcome.message.startswith("AttributeError: "))


@pytest.mark.parametrize("expression", [*OBJECTS, "getattr(hook, '__globals__')"])
def test_the_object_of_an_attribute_error_is_not_told(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], expression: str
) -> None:
    """AttributeError.obj could be what the hook was kept from."""
    body = f"try:\n    {expression}\nexcept AttributeError as error:\n    cb(None, str(error.obj))"
    outcome = attack(hook_of(body, "import json\n"))

    assert ("raised", "AttributeError: a hook may not have the object of an error") == (outcome.status, outcome.message)


OF_AN_ERROR = {
    "getattr": "getattr(error, 'obj')",
    "getattr with default": "getattr(error, 'obj', 'none').no_such_thing",
    "template": "'{0.obj}'.format(error)",
    "template by name": "'{e.obj}'.format_map({'e': error})",
    "map": "list(map(getattr, [error], ['obj']))",
    "the chain": "getattr(chained(error).__cause__, 'obj')",
    "a class method of the descriptor": "Reader(AttributeError.obj).__get__(None, error)",
    "a class method of an own descriptor": "Reader(Own.obj).__get__(None, error)",
    "super": "own().told()",
    "a descriptor of an own class": "own().leak",
}
OWN_ERROR = """
class Reader(classmethod):
    pass
class Own(AttributeError):
    leak = AttributeError.obj
    def told(self):
        return super().obj
class Holder:
    @property
    def held(self):
        raise Own("no")
def own():
    try:
        Holder().held
    except Own as error:
        return error
def chained(error):
    try:
        raise ValueError() from error
    except ValueError as other:
        return other
"""


@pytest.mark.parametrize("read", OF_AN_ERROR.values(), ids=OF_AN_ERROR.keys())
def test_no_other_read_tells_the_object_of_an_attribute_error(reach: Callable[..., Outcome], read: str) -> None:
    """Neither a computed name, nor the descriptor in the class, called by a class of the hook's own."""
    lines = f"try:\n    cb.nothing\nexcept AttributeError as error:\n    found = {read}\n"
    outcome = reach("found", lines, before=OWN_ERROR)

    assert ("raised", True) == (outcome.status, outcome.message.startswith(("AttributeError: ", "TypeError: ")))


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
    "name", ["BaseException", "SystemExit", "KeyboardInterrupt", "GeneratorExit", "BaseExceptionGroup"]
)
def test_exceptions_that_end_processes_are_not_there(reach: Callable[..., Outcome], name: str) -> None:
    """A hook has Exception and what derives from it."""
    outcome = reach(name)

    assert ("rejected", "builtin") == (outcome.status, outcome.diagnostics[0].rule)


def test_except_star_splits_a_group(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """`except*` is ordinary; its groups split by Python's own method."""
    body = """
    found = []
    try:
        raise ExceptionGroup("several", [ValueError("a"), TypeError("b")])
    except* ValueError as group:
        found.append([str(error) for error in group.exceptions])
    except* TypeError as group:
        found.append([str(error) for error in group.exceptions])
    cb(None, found)
    """

    assert ("ok", [["a"], ["b"]]) == ((out := attack(hook_of(body))).status, out.value())


SPLIT = "def split(self, kind):\n        return (1, 2)"
ANSWERS = """
class Answers:
    def __init__(self, *later):
        self.asked = 0
        self.later = later
    def __getattr__(self, name):
        if name != "__mro_entries__":
            raise AttributeError(name)
        self.asked += 1
        return lambda bases: self.later if self.asked > {} else (object,)
class G(Answers(ExceptionGroup)):
    def split(self, kind):
        return (1, 2)
if not isinstance(G, type):
    raise AttributeError("G is what Answers made, no class")
"""
GROUPS = {
    "a subclass": f"class G(ExceptionGroup):\n    {SPLIT}\n",
    "a subclass without a method": "class G(ExceptionGroup):\n    pass\n",
    "a subclass with another base first": f"class Mixed:\n    {SPLIT}\nclass G(Mixed, ExceptionGroup):\n    pass\n",
    "a subclass with an error first": "class G(ValueError, ExceptionGroup):\n    pass\n",
    "a base in stars": "class G(*[ExceptionGroup]):\n    pass\n",
    "an alias": "class G(ExceptionGroup[ValueError]):\n    pass\n",
    "the class of a group": "class G(type(ExceptionGroup('', [Error('')]))):\n    pass\n",
    "the class of a derived group": "class G(type(ExceptionGroup('', [Error('')]).derive([Error('')]))):\n    pass\n",
    "the class of what except* makes": (
        "try:\n    raise ValueError()\nexcept* ValueError as group:\n    made = type(group)\nclass G(made):\n    pass\n"
    ),
    "a base that answers at last": ANSWERS.format(1),
    "a base that answers later": ANSWERS.format(2),
    "a base that answers at once": ANSWERS.format(0),
    "a base that answers as a namespace": (
        "from types import SimpleNamespace\nasked = []\ndef entries(bases):\n    asked.append(1)\n"
        "    return (object,) if len(asked) < 2 else (ExceptionGroup,)\n"
        "class G(SimpleNamespace(**{'__mro_entries__': entries})):\n    pass\n"
    ),
    "split": "G = ExceptionGroup('', [Error('')])\nG.split = lambda kind: (1, 2)\n",
    "split by setattr": "G = ExceptionGroup('', [Error('')])\nsetattr(G, 'split', lambda kind: (1, 2))\n",
    "split of the class": "ExceptionGroup.split = lambda self, kind: (1, 2)\n",
    "split by setattr of object": "G = ExceptionGroup('', [Error('')])\nobject.__setattr__(G, 'split', lambda kind: (1, 2))\n",
    "derive": "G = ExceptionGroup('', [Error('')])\nG.derive = lambda errors: 5\n",
    "exceptions": "G = ExceptionGroup('', [Error('')])\nG.exceptions = (1, 2)\n",
    "private": "G = ExceptionGroup('', [Error('')])\nG._x = 1\n",
    "split in the dict": "G = ExceptionGroup('', [Error('')])\nmade = vars(G)\nmade['split'] = 1\nG.__dict__ | {'split': 1}\nG.split = 1\n",
    "split after dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass G(ExceptionGroup):\n    split: int = 1\n"
    ),
}


@pytest.mark.parametrize("before", GROUPS.values(), ids=GROUPS.keys())
def test_no_group_of_the_hooks_own_splits_for_except_star(reach: Callable[..., Outcome], before: str) -> None:
    """except* trusts what `split` returns: an overridden one confused CPython 3.11 to 3.13 about types."""
    outcome = reach("1", before=before)

    assert ("raised", True) == (
        outcome.status,
        outcome.message.startswith(
            (
                "TypeError: a hook's class may not derive from ExceptionGroup",
                "TypeError: a hook may not change",
                "TypeError: the class G has lost the mark",
                "TypeError: __setattr__ of a class takes",
                "TypeError: a SimpleNamespace cannot have the attribute",
                "AttributeError: ",
            )
        ),
    ), outcome.message


def test_a_group_of_groups_ends(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """A group within a group, a hundred thousand deep, is an error at most."""
    body = "g = ValueError()\nfor i in range(100000):\n    g = ExceptionGroup('', [g])\ntry:\n    raise g\nexcept* TypeError:\n    pass"
    outcome = attack(hook_of(body))

    assert outcome.status in ("raised", "out_of_memory", "crashed")


HOSTILE = {
    "no text": "class Bad(Exception):\n    def __init__(self):\n        self.args = (self,)\n",
    "cycle of causes": "class Bad(Exception):\n    pass\n",
    "huge text": "class Bad(Exception):\n    def __init__(self):\n        self.args = ('x' * 5000000,)\n",
    "half a surrogate": "class Bad(Exception):\n    def __init__(self):\n        self.args = ('\\ud800',)\n",
    "own fields that are no JSON": "class Bad(Exception):\n    def __init__(self):\n        self.field = {1: set()}\n",
    "cause of itself": (
        "class Bad(Exception):\n    def __init__(self):\n        try:\n            raise self from self\n"
        "        except Bad:\n            pass\n"
    ),
    "circle of causes": (
        "class Bad(Exception):\n    def __init__(self):\n        other = ValueError()\n        try:\n            raise self from other\n"
        "        except Bad:\n            pass\n        try:\n            raise other from self\n        except ValueError:\n            pass\n"
    ),
    "text of its own": "class Bad(Exception):\n    def __str__(self):\n        raise ValueError('PW' + 'NED')\n",
    "text that is none": "class Bad(Exception):\n    def __str__(self):\n        return 5\n",
    "text without end": "class Bad(Exception):\n    def __str__(self):\n        return str(self)\n",
    "shown by a method of its own": "class Bad(Exception):\n    def __repr__(self):\n        raise ValueError('PW' + 'NED')\n",
    "any attribute": "class Bad(Exception):\n    def __getattr__(self, name):\n        return self\n",
    "notes": "class Bad(Exception):\n    def __init__(self):\n        self.add_note('x' * 5000000)\n",
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
