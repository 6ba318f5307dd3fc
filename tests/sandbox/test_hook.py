"""One run of a hook, in place: how it ends, what it says, what it is given. Memory is tried in test_worker.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox import wire
from sandbox.modules import caches


def body(text: str) -> str:
    """A hook of that body, which begins at line 2."""
    return "def hook(user, context, cb):\n" + "".join(f"    {line}\n" for line in text.splitlines())


def ended(run_here: Callable[..., Any], text: str, **job: Any) -> wire.Done:
    """How a hook of that body ended."""
    return run_here(body(text), **job)[0]


def logged(run_here: Callable[..., Any], text: str, **job: Any) -> list[wire.Log]:
    """What it logged."""
    return run_here(body(text), **job)[1]


def test_a_response_is_the_result(run_here: Callable[..., Any]) -> None:
    done = ended(run_here, "cb(None, {'name': user.name, 'n': [1, None]})")

    assert ("ok", "", None, None) == (done.status, done.message, done.line, done.error)
    assert done.result == b'{"name":"Ann","n":[1,null]}'


@pytest.mark.parametrize("call", ["cb()", "cb(None)", "cb(None, None)", "cb(False)", "cb(error=None, response=None)"])
def test_no_response_is_null(run_here: Callable[..., Any], call: str) -> None:
    done = ended(run_here, call)

    assert ("ok", b"null") == (done.status, done.result)


@pytest.mark.parametrize(
    ("call", "message", "error"),
    [
        ("cb(Error('why'))", "why", {"name": "Error", "message": "why"}),
        ("cb('why')", "why", {"name": "Error", "message": "why"}),
        ("cb(InvalidScopeError('why'))", "why", {"name": "InvalidScopeError", "message": "why"}),
        ("cb(ValueError('why'))", "why", {"name": "ValueError", "message": "why"}),
        ("cb({'message': 'why', 'code': 7})", "why", {"name": "Error", "message": "why", "code": 7}),
        ("cb({'message': 5})", "5", {"name": "Error", "message": 5}),
        ("cb(user, None)", None, None),
        ("cb(0)", "0", {"name": "Error", "message": "0"}),
        ("cb('')", "Error", {"name": "Error", "message": ""}),
        ("cb(Error())", "Error", {"name": "Error", "message": ""}),
        ("e = Error('why')\ne.code = 7\ncb(e)", "why", {"name": "Error", "message": "why", "code": 7}),
        ("e = Error('why')\ne.odd = {1}\ncb(e)", "why", None),
        ("cb(PreUserRegistrationError('a', 'b'))", "a", {"name": "PreUserRegistrationError", "message": "a", "friendlyMessage": "b"}),
    ],
)  # fmt: skip
def test_an_error_is_a_denial_with_its_own_fields(
    run_here: Callable[..., Any], call: str, message: str, error: Any
) -> None:
    done = ended(run_here, call)
    shown = json.loads(done.error)

    assert ("denied", None, call.count("\n") + 2) == (done.status, done.result, done.line)
    assert message is None or message == done.message
    assert {"name", "message"} <= set(shown)
    if error and error["message"] != 5:
        assert error == shown


@pytest.mark.parametrize(
    "kind",
    [
        "class E:\n    message = 5",
        "class E:\n    @property\n    def message(self):\n        raise ValueError('no')",
        "class E(dict):\n    def get(self, *a):\n        raise ValueError('no')",
        "class E(str):\n    def encode(self, *a):\n        raise ValueError('no')",
        "class E(Error):\n    def __init__(self):\n        pass",
        "class E(Exception):\n    args = 5",
    ],
)
def test_an_error_that_fights_back_is_still_an_ending(run_here: Callable[..., Any], kind: Any) -> None:
    """Nothing that a hook's own objects raise gets past the run."""
    done, _ = run_here(kind + "\n" + body("cb(E())"))

    assert done.status in ("denied", "raised")
    wire.parse(wire.pack(done)[wire.PREFIX_BYTES :], wire.replies)


def test_what_is_raised_is_told_with_the_hook_s_line(run_here: Callable[..., Any]) -> None:
    done = ended(run_here, "x = 1\nraise ValueError('why')")

    assert ("raised", "ValueError: why", 3) == (done.status, done.message, done.line)
    assert json.loads(done.error) == {"name": "ValueError", "message": "why"}


def test_the_line_is_the_innermost_of_the_hook_s_own(run_here: Callable[..., Any]) -> None:
    done, _ = run_here("import json\ndef read(text):\n    return json.loads(text)\n" + body("read('{')"))

    assert ("raised", 3) == (done.status, done.line)
    assert done.message.startswith("JSONDecodeError")


@pytest.mark.parametrize("source", ["1 / 0\n", "def f():\n    raise KeyError('a')\nf()\n"])
def test_what_the_top_level_raises_is_told_too(run_here: Callable[..., Any], source: str) -> None:
    done, _ = run_here(source)

    assert "raised" == done.status
    assert done.line is not None


@pytest.mark.parametrize("text", ["pass", "return 5", "later = cb"])
def test_a_hook_that_never_calls_back_is_told_so(run_here: Callable[..., Any], text: str) -> None:
    done = ended(run_here, text)

    assert "no_callback" == done.status
    assert "without calling cb" in done.message


def test_a_source_without_a_hook_is_told_the_same(run_here: Callable[..., Any]) -> None:
    assert run_here("x = 1\n")[0].status == "no_callback"


def test_the_top_level_may_call_back_itself(run_here: Callable[..., Any]) -> None:
    assert run_here("cb(None, user.name)\n")[0].result == b'"Ann"'


def test_module_exports_names_the_entry(run_here: Callable[..., Any]) -> None:
    done, _ = run_here("def other(user, context, cb):\n    cb(None, 'exported')\nmodule.exports = other\n")

    assert done.result == b'"exported"'


@pytest.mark.parametrize("source", ["module = 5\n", "module = 'x'\n", "del module\n"])
def test_the_name_module_is_free_for_the_hook_s_own_use(run_here: Callable[..., Any], source: str) -> None:
    done, _ = run_here(source + body("cb(None, 1)"))

    assert ("ok", "") == (done.status, done.message)


def test_the_first_call_counts_and_the_second_is_a_warning(run_here: Callable[..., Any]) -> None:
    done, logs = run_here(body("cb(None, 1)\ncb('late')"))

    assert ("ok", b"1") == (done.status, done.result)
    assert [("warn", "cb was called again; only the first call counts", 3)] == [
        (log.level, log.text, log.line) for log in logs
    ]


def test_what_is_raised_after_the_call_is_a_warning(run_here: Callable[..., Any]) -> None:
    done, logs = run_here(body("cb(None, 1)\nraise ValueError('late')"))

    assert ("ok", b"1") == (done.status, done.result)
    assert [("warn", "after cb: ValueError: late")] == [(log.level, log.text) for log in logs]


def test_the_response_is_what_it_was_at_the_call(run_here: Callable[..., Any]) -> None:
    assert ended(run_here, "x = [1]\ncb(None, x)\nx.append(2)").result == b"[1]"


@pytest.mark.parametrize(
    ("response", "said"),
    [
        ("{1}", "result is a set"),
        ("float('nan')", "is nan, which JSON does not have"),
        ("{1: 2}", "JSON keys are text"),
        ("{'a': [print]}", "result['a'][0] is a"),
        ("'x' * 300_000", "the most allowed is 262144"),
        ("[[] for i in range(20_000)]", "more than 20000 values"),
        ("'\\ud800'", ""),
    ],
)
def test_a_response_that_is_no_json_or_too_large_is_told_with_its_line(
    run_here: Callable[..., Any], response: str, said: str
) -> None:
    done = ended(run_here, f"\ncb(None, {response})")

    assert ("bad_result", 3, None) == (done.status, done.line, done.result)
    assert said in done.message


def test_a_response_whose_own_methods_raise_is_told(run_here: Callable[..., Any]) -> None:
    done, _ = run_here(
        "class L(list):\n    pass\nclass D(dict):\n    def items(self):\n        raise ValueError('no')\n"
        + body("cb(None, [L([1]), D(a=2)])")
    )

    assert ("ok", b'[[1],{"a":2}]') == (done.status, done.result)


def test_an_error_of_too_many_values_is_told_without_them(run_here: Callable[..., Any]) -> None:
    done = ended(run_here, "cb({'message': 'no', 'x': [[] for i in range(20_000)]})")

    assert ("denied", "no", b'{"name":"Error","message":"too large"}') == (done.status, done.message, done.error)


def test_a_response_of_just_the_limit_is_accepted(run_here: Callable[..., Any]) -> None:
    limits = wire.Limits(result_bytes=10)

    assert ended(run_here, "cb(None, 'x' * 8)", limits=limits).status == "ok"
    assert ended(run_here, "cb(None, 'x' * 9)", limits=limits).status == "bad_result"


def test_levels_and_lines_of_the_log(run_here: Callable[..., Any]) -> None:
    logs = logged(
        run_here,
        "console.log('a', 1)\nconsole.info('b')\nconsole.debug('c')\nconsole.warn('d')\nconsole.error('e')\nprint('f')\ncb()",
    )

    assert [
        ("info", "a 1", 2),
        ("info", "b", 3),
        ("info", "c", 4),
        ("warn", "d", 5),
        ("error", "e", 6),
        ("info", "f", 7),
    ] == [(log.level, log.text, log.line) for log in logs]
    assert all(log.at_ms > 1_700_000_000_000 for log in logs)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("print('a', 'b')", "a b"),
        ("print('a', 'b', sep='-')", "a-b"),
        ("print('a', 'b', sep=None)", "a b"),
        ("print('a', end='!')", "a!"),
        ("print('a', end=None)", "a"),
        ("print()", ""),
        ("print('a\\nb')", "a\nb"),
        ("print('a', file=None, flush=True)", "a"),
        ("print('\\ud800')", "?"),
    ],
)
def test_print_is_one_event_a_call(run_here: Callable[..., Any], call: str, text: str) -> None:
    assert [text] == [log.text for log in logged(run_here, call + "\ncb()")]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("print(1, sep=5)", "sep must be None or a string, not int"),
        ("print(1, end=[])", "end must be None or a string, not list"),
        ("print(1, colour='red')", "print() got an unexpected keyword argument 'colour'"),
        ("console.log(1, sep='')", "console.log() got an unexpected keyword argument 'sep'"),
    ],
)
def test_print_and_console_refuse_what_they_do_not_take(run_here: Callable[..., Any], call: str, said: str) -> None:
    assert f"TypeError: {said}" == ended(run_here, call).message


def test_the_log_is_cut_at_its_limit_with_one_mark(run_here: Callable[..., Any]) -> None:
    limits = wire.Limits(log_bytes=3 * wire.LOG_OVERHEAD_BYTES + 25)
    logs = logged(run_here, "for n in range(9):\n    print('é' * 5)\ncb()", limits=limits)

    assert ["é" * 5, "é" * 5] == [log.text for log in logs[:-1]]
    assert logs[-1].text.endswith("… [log truncated: the limit is reached]")
    assert logs[-1].level == "warn"
    assert len(logs) == 3


def test_no_log_is_sent_when_none_is_allowed(run_here: Callable[..., Any]) -> None:
    assert logged(run_here, "print('a')\ncb()", limits=wire.Limits(log_bytes=0)) == []


def test_a_message_is_cut_to_what_a_frame_holds(run_here: Callable[..., Any]) -> None:
    done = ended(run_here, "raise ValueError('é' * 10_000)")

    assert len(done.message) == wire.MESSAGE_CHARS
    assert done.message.endswith("…")


def test_an_error_too_large_for_a_frame_keeps_its_name(run_here: Callable[..., Any]) -> None:
    done = ended(run_here, "e = Error('x')\ne.more = 'y' * 100_000\ncb(e)")

    assert len(done.error) <= wire.ERROR_BYTES
    assert json.loads(done.error)["name"] == "Error"


def test_secrets_and_the_execution_stand_in_the_context(run_here: Callable[..., Any]) -> None:
    text = "w = context.webtask\ncb(None, [w.secrets.KEY, w.data.KEY, w.id, w.execution_id, w.meta, w.headers, w.query, w.params])"
    done = ended(run_here, text, secrets={"KEY": "s3"}, execution_id="e7")

    assert json.loads(done.result) == ["s3", "s3", "e7", "e7", {}, {}, {}, {}]


def test_the_attempt_and_what_was_answered_before_stand_in_the_context(run_here: Callable[..., Any]) -> None:
    text = "w = context.webtask\ncb(None, [w.attempt, w.response.user.email, w['response']])"
    done = ended(run_here, text, attempt=3, response=b'{"user":{"email":"a@b.c"}}')

    assert [3, "a@b.c", {"user": {"email": "a@b.c"}}] == json.loads(done.result)
    assert [1, None] == json.loads(ended(run_here, "w = context.webtask\ncb(None, [w.attempt, w.response])").result)


def test_a_seed_repeats(run_here: Callable[..., Any]) -> None:
    text = "import random\ncb(None, [random.random(), random.randint(1, 10**9)])"

    assert ended(run_here, text, seed=1).result == ended(run_here, text, seed=1).result
    assert ended(run_here, text, seed=1).result != ended(run_here, text, seed=2).result


def test_parameters_that_were_not_given_are_none(run_here: Callable[..., Any]) -> None:
    assert ended(run_here, "cb(None, user)", arguments={"context": {}}).result == b"null"


def test_what_one_run_leaves_in_its_namespace_the_next_does_not_find(run_here: Callable[..., Any]) -> None:
    run_here("kept = 1\n" + body("cb()"))

    assert ended(run_here, "cb(None, kept)").status == "raised"


def test_a_run_tells_what_it_cost(run_here: Callable[..., Any]) -> None:
    done = ended(run_here, "cb(None, sum(range(1_000_000)))")

    assert done.cpu_us > 0
    assert done.peak_bytes > 1 << 20


@pytest.mark.parametrize(
    "text",
    [
        "raise StopIteration", "raise RecursionError", "def f(): f()\nf()", "1 / 0", "user.missing", "user['missing']",
        "[][0]", "assert False", "int('x')", "undefined", "require('o' + 's')", "x = None\nx()", "raise Error",
        "class E(Exception):\n    pass\nraise E(E(E()))", "raise ValueError('\\ud800')", "raise 5",
    ],
)  # fmt: skip
def test_whatever_a_hook_raises_is_an_ending_that_fits_a_frame(run_here: Callable[..., Any], text: str) -> None:
    done = ended(run_here, text)

    assert "raised" == done.status
    assert done == wire.parse(wire.pack(done)[wire.PREFIX_BYTES :], wire.replies)


def test_messages_do_not_name_our_classes_or_paths(run_here: Callable[..., Any]) -> None:
    for text in ("user.missing", "require('o' + 's')", "cb(None, {1})", "cb()()", "import json\njson.missing"):
        done = ended(run_here, text)

        assert not [word for word in ("sandbox", "/", "Facade", "Document") if word in done.message], done.message


def test_a_worker_in_which_something_of_a_job_stays_is_spent(
    run_here: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caches, "forget_subscriptions", lambda: None)
    done, _ = run_here("import typing\nclass A: pass\ndef hook(user, context, cb):\n    typing.Optional[A]\n    cb()\n")

    assert ("ok", True) == (done.status, done.spent)


def test_a_worker_is_not_spent_by_circles_suspended_generators_and_what_typing_keeps(
    run_here: Callable[..., Any],
) -> None:
    done, _ = run_here(
        "import typing\n"
        "class A:\n    def __init__(self):\n        self.me = self\n"
        "def waiting():\n    yield A\n"
        "def hook(user, context, cb):\n"
        "    a = A()\n    a.kept = [waiting(), typing.Optional[A], lambda: a]\n    next(a.kept[0])\n    cb()\n"
    )

    assert ("ok", False) == (done.status, done.spent)
