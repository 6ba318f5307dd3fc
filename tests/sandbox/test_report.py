"""What an error tells the author of a hook: its chain, the hook's own lines, a hint; and nothing of ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox import report, wire
from sandbox.channel import SOFT_STOP


def told(done: wire.Done) -> list[tuple[str, list[tuple[int, str]]]]:
    """The causes as plain data: (message, [(line, function)])."""
    return [(cause.message, [(step.line, step.function) for step in cause.steps]) for cause in done.causes]


CHAIN = """\
def find(user):
    return {"a": 1}[user.name]
def send(user):
    try:
        find(user)
    except KeyError as error:
        raise ValueError("no address") from error
def hook(user, context, cb):
    send(user)
"""


def test_the_error_and_its_cause_are_told_with_their_ways(worker: Any) -> None:
    done, _ = worker.run(CHAIN)

    assert [
        ("ValueError: no address", [(9, "hook"), (7, "send")]),
        ("KeyError: 'Ann'", [(5, "send"), (2, "find")]),
    ] == told(done)
    assert ("raised", "ValueError: no address", 7) == (done.status, done.message, done.line)


def test_what_an_error_was_raised_within_is_told_too(run_here: Callable[..., Any]) -> None:
    done, _ = run_here(CHAIN.replace(" from error", ""))

    assert ["ValueError: no address", "KeyError: 'Ann'"] == [message for message, _ in told(done)]


def test_what_the_author_suppressed_is_not_told(run_here: Callable[..., Any]) -> None:
    done, _ = run_here(CHAIN.replace(" from error", " from None"))

    assert [("ValueError: no address", [(9, "hook"), (7, "send")])] == told(done)


@pytest.mark.parametrize(
    ("source", "functions"),
    [
        ("1 / 0\n", [""]),
        ("x = [1 / n for n in [0]]\n", [""]),
        ("class A:\n    x = 1 / 0\n", ["", "A"]),
        ("class A:\n    def method(self):\n        1 / 0\nA().method()\n", ["", "A.method"]),
        ("def hook(user, context, cb):\n    def inner():\n        1 / 0\n    inner()\n", ["hook", "hook.inner"]),
        ("def hook(user, context, cb):\n    [1 / n for n in [0]]\n", ["hook"]),
        ("def hook(user, context, cb):\n    list(1 / n for n in [0])\n", ["hook"]),
        ("def hook(user, context, cb):\n    return (lambda: 1 / 0)()\n", ["hook", "hook.<lambda>"]),
        ("import json\ndef hook(user, context, cb):\n    json.loads('{')\n", ["hook"]),
        ("def hook(user, context, cb):\n    user.missing\n", ["hook"]),
        ("def hook(user, context, cb):\n    sorted([2, 1], key=lambda n: 1 / 0)\n", ["hook", "hook.<lambda>"]),
    ],
)
def test_a_step_is_a_line_of_the_hooks_own_functions_alone(
    run_here: Callable[..., Any], source: str, functions: list[str]
) -> None:
    done, _ = run_here(source)
    ((_, steps),) = [cause for cause in told(done) if cause[0] == done.message]

    assert functions == [function for _, function in steps]
    assert done.line == steps[-1][0]


LONG = """\
last = None
for number in range(10_000):
    try:
        raise Error(str(number)) from last
    except Error as error:
        last = error
raise last
"""


def test_of_a_long_chain_the_first_and_the_last_are_told(run_here: Callable[..., Any]) -> None:
    """And it is looked at so far and no further."""
    done, _ = run_here(LONG)

    assert ["Error: 9999", "Error: 9998", "Error: 9997", "Error: 9996"] == [each for each, _ in told(done)][:4]
    assert ["Error: 9003", "Error: 9002", "Error: 9001", "Error: 9000"] == [each for each, _ in told(done)][4:]


def test_of_a_long_way_the_outermost_and_the_innermost_steps_are_told(run_here: Callable[..., Any]) -> None:
    calls = "".join(f"def f{n}():\n    f{n + 1}()\n" for n in range(50)) + "def f50():\n    1 / 0\nf0()\n"
    ((_, steps),) = told(run_here(calls)[0])

    assert ["", *(f"f{n}" for n in range(9))] == [function for _, function in steps[:10]]
    assert [f"f{n}" for n in range(41, 51)] == [function for _, function in steps[10:]]


def test_the_equal_steps_of_a_recursion_are_told_once(run_here: Callable[..., Any]) -> None:
    ((message, steps),) = told(run_here("def f():\n    f()\nf()\n")[0])

    assert message.startswith("RecursionError: ")
    assert [(3, ""), (2, "f")] == steps


def test_a_circle_of_causes_is_told_once_around(run_here: Callable[..., Any]) -> None:
    one, two = "try:\n    raise a from b\nexcept Error:\n    pass\n", "raise b from a\n"
    done, _ = run_here("a = Error('a')\nb = Error('b')\n" + one + two)

    assert ["Error: b", "Error: a"] == [message for message, _ in told(done)]


def test_the_members_of_a_group_come_after_it_and_before_its_cause() -> None:
    group = ExceptionGroup("two", [ValueError("a"), ExceptionGroup("one", [KeyError("b")])])
    group.__cause__ = TypeError("c")

    assert [
        "ExceptionGroup: two (2 sub-exceptions)",
        "ValueError: a",
        "ExceptionGroup: one (1 sub-exception)",
        "KeyError: 'b'",
        "TypeError: c",
    ] == [cause.message for cause in report.causes(group)]


@pytest.mark.parametrize("name", ["__cause__", "__context__", "__suppress_context__", "__traceback__", "__class__"])
def test_a_class_that_lies_about_itself_is_not_asked(name: str) -> None:
    """Everything but the text is read by the slots of the builtin classes."""

    def lie(_: object) -> None:
        raise AssertionError("it was asked")

    error = type("Liar", (Exception,), {name: property(lie)})("why")

    assert (wire.Cause("Liar: why", ()),) == report.causes(error)


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("return 5", "E: (it cannot be shown)"),
        ("raise ValueError('no')", "E: (it cannot be shown)"),
        ("raise self", "E: (it cannot be shown)"),
        ("return str(self)", "E: (it cannot be shown)"),
        ("return Text('truth')", "E: truth"),
        ("return '\\ud800'", "E: ?"),
        ("return 'x' * 1_000_000", "E: " + "x" * 4092 + "…"),
        ("raise ended[0]", "E: (it cannot be shown)"),
    ],
)
def test_a_text_that_fights_back_is_still_told_or_left_out(
    run_here: Callable[..., Any], method: str, said: str
) -> None:
    """Also a text that is none, and what no hook may name but can get hold of: GeneratorExit."""
    before = (
        "ended = []\nclass Door:\n    def __enter__(self):\n        return self\n"
        "    def __exit__(self, kind, value, trace):\n        ended.append(kind)\n"
        "def waits():\n    with Door():\n        yield\nwaiting = waits()\nnext(waiting)\nwaiting.close()\n"
        "class Text(str):\n    def __getitem__(self, key):\n        return 5\n    def encode(self, *given):\n        return 5\n"
        f"class E(Exception):\n    def __str__(self):\n        {method}\n"
    )
    done, _ = run_here(before + "raise E()\n")

    assert ("raised", said) == (done.status, done.message)
    assert done == wire.parse(wire.pack(done)[wire.PREFIX_BYTES :], wire.replies)


def test_the_largest_report_fits_a_frame(run_here: Callable[..., Any]) -> None:
    name = "é" * 300
    large = f"def {name}(n):\n    try:\n        if n:\n            {name}(n - 1)\n"
    large += "    finally:\n        raise Error('é' * 5_000)\n"
    done, _ = run_here(large + f"{name}(50)\n")

    assert 8 == len(done.causes)
    assert done == wire.parse(wire.pack(done)[wire.PREFIX_BYTES :], wire.replies)


def test_a_text_without_end_does_not_outlive_the_deadline(worker: Any, hook_job: Callable[..., Any]) -> None:
    """It is made within the job; the engine's signal ends it like any loop."""
    body = "        print('begun')\n        while True:\n            pass\n"
    worker.send(hook_job(f"class E(Exception):\n    def __str__(self):\n{body}raise E()\n"))
    assert isinstance(worker.receive(), wire.Log)
    worker.signal(SOFT_STOP)
    done, _ = worker.listen()

    assert ("timeout", True) == (done.status, done.line in (3, 4, 5))


def test_nothing_of_an_error_runs_once_its_job_has_ended(worker: Any) -> None:
    """Its text is asked for within the job, and never again."""
    done, logs = worker.run(
        "class E(Exception):\n    def __str__(self):\n        print('told')\n        return 'x'\nraise E()\n"
    )
    _, later = worker.run("cb()\n")

    assert ("raised", {"told"}) == (done.status, {log.text for log in logs})
    assert [] == later


@pytest.mark.parametrize(
    "source", ["cb(None, 1)\n", "cb()\n", "cb('why')\n", "cb(Error('why'))\n", "x = 1\n", "cb(Error)\n"]
)
def test_what_was_not_raised_has_no_causes(run_here: Callable[..., Any], source: str) -> None:
    assert () == run_here(source)[0].causes


def test_an_error_that_was_raised_and_then_passed_to_cb_tells_where(run_here: Callable[..., Any]) -> None:
    done, _ = run_here("try:\n    1 / 0\nexcept Exception as error:\n    cb(error)\n")

    assert ("denied", "division by zero", 4) == (done.status, done.message, done.line)
    assert [("ZeroDivisionError: division by zero", [(2, "")])] == told(done)


def test_an_error_class_is_an_error_without_a_message(run_here: Callable[..., Any]) -> None:
    """As `raise Error` takes it."""
    done, _ = run_here("cb(InvalidScopeError)\n")

    assert ("denied", "InvalidScopeError") == (done.status, done.message)
    assert {"name": "InvalidScopeError", "message": ""} == json.loads(done.error)


def test_an_error_after_cb_is_a_warning_with_its_line(run_here: Callable[..., Any]) -> None:
    done, logs = run_here("def late():\n    user.nmae\ncb(None, 1)\nlate()\n")

    assert ("ok", ()) == (done.status, done.causes)
    assert [("warn", 2, True)] == [(log.level, log.line, log.text.endswith("Did you mean 'name'?")) for log in logs]


def test_running_out_of_memory_is_told_without_a_chain(worker: Any) -> None:
    done, _ = worker.run("try:\n    1 / 0\nexcept Exception:\n    x = bytearray(1 << 40)\n")

    assert ("out_of_memory", 4, ()) == (done.status, done.line, done.causes)


HINTS = {
    "user.nmae": "there is no field 'nmae' here; the fields are: name. Did you mean 'name'?",
    "user.phone": "there is no field 'phone' here; the fields are: name",
    "user.itmes()": "the fields are: name. Did you mean 'items'?",
    "del user.nmae": "the fields are: name. Did you mean 'name'?",
    "d = {'a': 1}\nd.a": "'dict' object has no attribute 'a'. A dict is read by item: write ['a']",
    "d = {'get_it': 1}\nd.get_it": "'dict' object has no attribute 'get_it'. A dict is read by item: write ['get_it']",
    "d = {}\nd.itmes()": "'dict' object has no attribute 'itmes'. Did you mean 'items'?",
    "[].apend(1)": "'list' object has no attribute 'apend'. Did you mean 'append'?",
    "console.wran(1)": "'console' object has no attribute 'wran'. Did you mean 'warn'?",
    "import json\njson.dmups(1)": "a hook's json does not offer 'dmups'. Did you mean 'dumps'?",
    "class A:\n    def __init__(self):\n        self.total = 1\nA().totl": "Did you mean 'total'?",
    "class A:\n    total = 1\nA.totl": "Did you mean 'total'?",
    "console.left": "'console' object has no attribute 'left'",
    "class A:\n    _total = 1\n    def read(self):\n        return self._totl\nA().read()": "Did you mean '_total'?",
    "_helper = 1\n_helpr": "name '_helpr' is not defined. Did you mean '_helper'?",
    "usr": "name 'usr' is not defined. Did you mean 'user'?",
    "json.dumps(1)": "name 'json' is not defined. Did you forget to import 'json'?",
    "true": "name 'true' is not defined. Did you mean 'True'?",
    "def f(amount):\n    return amuont\nf(1)": "name 'amuont' is not defined. Did you mean 'amount'?",
    "entirely": "name 'entirely' is not defined",
    "None.name": "'NoneType' object has no attribute 'name'",
}


@pytest.mark.parametrize(("body", "said"), HINTS.items(), ids=HINTS)
def test_what_an_author_may_have_meant_is_said(run_here: Callable[..., Any], body: str, said: str) -> None:
    done, _ = run_here(body + "\n")

    assert "raised" == done.status
    assert done.message.endswith(said)


@pytest.mark.parametrize(
    "name",
    ["guarded_getattr", "guarded_super", "own_token", "real_type", "made_by_this_job", "namespaces"],
)
def test_a_hint_names_nothing_of_the_guards(run_here: Callable[..., Any], name: str) -> None:
    """The names that the policy puts into the code stand among the hook's globals and in its classes."""
    by_name, _ = run_here(f"{name}\n")
    by_attribute, _ = run_here(f"class A:\n    pass\nA.{name}\n")

    assert ["raised", "raised"] == [by_name.status, by_attribute.status]
    assert [] == [done.message for done in (by_name, by_attribute) if "Did you mean" in done.message]


def test_a_huge_dict_or_name_does_not_hold_up_a_hint(worker: Any) -> None:
    """Five hundred names of sixty characters are compared, at most."""
    done, _ = worker.run("for n in range(200_000):\n    user['name' + str(n)] = n\ngetattr(user, 'nam' * 100_000)\n")

    assert ("raised", True) == (done.status, done.message.startswith("AttributeError: there is no field"))
    assert done.cpu_us < 5_000_000


WRONG = [
    *(f"{owner}{use}" for owner in ("user", "user.copy", "context.webtask", "context.webtask.secrets", "console",
                                    "console.log", "console.error", "(print)", "cb", "Error", "Error('x')", "ServerError",
                                    "PreUserRegistrationError", "SendPhoneMessageError('a')")
      for use in ("()", "(1, 2, 3, 4)", "(nothing=1)", "(message=1, nothing=2)", "(object(), object(), 1)",
                  ".nothing", ".nothing()", ".log(a=1)", "[0]", "[[]]", "[None] ", " + 1", " | 5", " < 3", " @ 2", "(**{1: 2})",
                  ".nothing.nothing", " in 5", " ** 2", "()()", ".copy(1, 2)", ".get()", ".pop()", ".update(5)", ".setdefault()")),
    *(call.replace("X", owner) for owner in ("user", "console", "console.log", "cb", "Error", "Error('x')", "print")
      for call in ("len(X)", "iter(X)", "next(X)", "int(X)", "float(X)", "reversed(X)", "hash(X)", "sum(X)", "sorted(X)", "abs(X)",
                   "bytes(X)", "complex(X)", "range(X)", "isinstance(X)", "isinstance(1, X)", "issubclass(X)", "issubclass(int, X)",
                   "format(1, X)", "setattr(1, X)", "max(X)", "type(X)", "dict(X)", "json.dumps(X)", "copy.copy(X)", "vars(X)",
                   "copy.deepcopy(X)", "round(X)", "chr(X)", "''.join(X)", "'%d' % X", "iter(5, X)", "divmod(X)", "enumerate(1, X)",
                   "re.sub(X)", "re.sub('a', X, 'a')", "zip(1, X)", "dir(X)", 'f"{X:>9}"', 'f"{X!r}"', "'{.nothing}'.format(X)")),
    *(f"-{owner}" for owner in ("user", "console", "cb", "Error", "print")),
    "{**console}", "[*cb]", "Error(*1)", "Error(**1)", "user.copy(**1)", "print(*1)", "console.log(*1)", "cb(*console)", "cb(**cb)", "print(sep=1)", "print(end=cb)", "raise_(console)", "raise_(cb)", "raise_(user)",
    "user.fromkeys()", "type(user)(5)", "type(user)([1])", "type(console)()", "type(cb)", "Error.__init__()", "user.__or__()",
    "user.__getitem__()", "setattr(console, 'log', 1)", "setattr(cb, 'a', 1)", "setattr(Error, 'a', 1)", "delattr(console, 'log')",
    "setattr(console.log, 'a', 1)", "setattr(print, 'a', 1)", "delattr(user, 'nothing')", "getattr(user, 5)", "getattr(console, '_left')",
    "class_(Error)", "class_(console)", "class_(cb)", "class_(type(user))", "match_(console)", "with_(console)", "with_(cb)", "with_(user)",
]  # fmt: skip
HELPERS = """\
import copy, json, re
def raise_(what):
    raise what
def class_(base):
    class A(base):
        pass
    return A(1, 2, 3, 4)
def match_(what):
    match what:
        case {"nothing": n}:
            pass
        case print(n):
            pass
def with_(what):
    with what:
        pass
def tried(call):
    try:
        print(repr(call()))
    except Exception as error:
        print(f"{type(error).__name__}: {error} {error!r} {type(error)}")
"""
OURS = [
    "sandbox",
    "engine",
    "Document",
    "Console",
    "Settlement",
    "Facade",
    "callback",
    "<locals>",
    "Importer",
    "guards",
]
OURS += ["hook.py", "makers", "FriendlyError", "/", "\\\\", ".py"]


def test_what_is_called_wrongly_names_nothing_of_ours(worker: Any) -> None:
    """No exception, log or representation tells a class, function, module or path of the engine."""
    lines = "".join(f"tried(lambda: {wrong})\n" for wrong in WRONG)
    done, logs = worker.run(HELPERS + lines, limits=wire.Limits(log_bytes=1 << 20))

    assert "ok" == done.status, done.message  # the first of them is cb()
    assert len(WRONG) <= len(logs)
    assert [] == [log.text for log in logs if any(word in log.text for word in OURS)]


@pytest.mark.parametrize(
    "wrong",
    ["cb(1, 2, 3)", "console.nothing", "Error(1, 2, 3)", "PreUserRegistrationError(1, 2, 3)", "user.copy(1)", "user()"],
)
def test_nor_does_the_outcome(worker: Any, wrong: str) -> None:
    done, _ = worker.run(wrong + "\n")
    shown = done.message + done.error.decode() + "".join(cause.message for cause in done.causes)

    assert "raised" == done.status
    assert [] == [word for word in OURS if word in shown]
