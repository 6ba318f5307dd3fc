"""The engine as a caller in Python uses it: every way a hook can end, and every mistake of the caller."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from engine.app import Engine, _with_source
from engine.config import Config
from engine.errors import BadArguments, BadInput, BadSource, EngineError, UnknownPoint
from engine.hook import Hook, Limits
from engine.outcome import Cause, Outcome, Step
from engine.points import point_named
from engine.turn import _checked
from sandbox import wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

POINT = "post-change-password"
OK = "def hook(user, context, cb):\n    cb(None, user.email)\n"
Run = Callable[..., Awaitable[Outcome]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[Engine]:
    """One engine for this file; each test leaves it as it was."""
    async with Engine(Config(wall_ms=10_000, result_bytes=4_096, log_bytes=2_048, workers=24)) as started:
        yield started


@pytest.fixture
def run(engine: Engine) -> Run:
    """`await run(source, arguments=None, **fields)`: the outcome of a hook, on the sample where nothing else is given."""

    async def run_it(source: str, arguments: Any = None, **fields: Any) -> Outcome:
        made = Hook(source, **{"trigger_id": POINT} | fields)
        sample = point_named(made.trigger_id).sample
        return await engine.run(made, sample if arguments is None else arguments)

    return run_it


def read(raw: Any) -> Any:
    return json.loads(bytes(raw))


async def test_a_hook_ends_ok_with_what_cb_was_given(run: Run) -> None:
    """`cb(None, value)` is the result; nothing else is filled in."""
    outcome = await run(OK)

    assert ("ok", "", None, None) == (outcome.status, outcome.message, outcome.line, outcome.source)
    assert outcome.value() == "user1@foo.com"
    assert read(outcome.error) is None
    assert outcome.usage.wall_ms > 0
    assert outcome.usage.peak_bytes > 1 << 20


async def test_cb_without_arguments_is_ok_with_the_points_default_response(run: Run) -> None:
    """`cb()` is the usual end of a hook that has nothing to say."""
    outcome = await run("def hook(user, context, cb):\n    cb()\n")

    assert ("ok", point_named(POINT).default_response) == (outcome.status, outcome.value())


async def test_arguments_may_be_given_as_their_json(run: Run) -> None:
    """Bytes are passed on to the worker as they are."""
    outcome = await run(OK, b'{"user": {"email": "\xc3\xa9@foo.com"}, "context": {"connection": {}}}')

    assert outcome.value() == "é@foo.com"


async def test_an_error_passed_to_cb_is_denied_with_the_line_of_the_call(run: Run) -> None:
    """The message is the error's own, and the line is where cb was called."""
    outcome = await run("def hook(user, context, cb):\n    x = 1\n    cb(Error('too weak'))\n")

    assert ("denied", "too weak", 3, "cb(Error('too weak'))") == (
        outcome.status,
        outcome.message,
        outcome.line,
        outcome.source,
    )
    assert read(outcome.error) == {"name": "Error", "message": "too weak"}
    assert outcome.value() is None


async def test_a_text_passed_to_cb_is_denied_with_that_text(run: Run) -> None:
    """`cb("why")` is an error too."""
    outcome = await run("def hook(user, context, cb):\n    cb('why not')\n")

    assert ("denied", "why not") == (outcome.status, outcome.message)


async def test_own_attributes_of_an_error_travel_with_it(run: Run) -> None:
    """What a hook sets on its error reaches the caller, JSON as it is."""
    outcome = await run(
        "def hook(user, context, cb):\n"
        "    error = Error('pay first')\n"
        "    error.statusCode = 402\n"
        "    error.details = {'plan': ['free']}\n"
        "    cb(error)\n"
    )

    assert read(outcome.error) == {
        "name": "Error",
        "message": "pay first",
        "statusCode": 402,
        "details": {"plan": ["free"]},
    }


@pytest.mark.parametrize(
    ("trigger_id", "parameters", "call", "error"),
    [
        (
            "pre-user-registration",
            "user, context, cb",
            "PreUserRegistrationError('for the log', 'for the person')",
            {"name": "PreUserRegistrationError", "message": "for the log", "friendlyMessage": "for the person"},
        ),
        (
            "credentials-exchange",
            "client, scope, audience, context, cb",
            "InvalidScopeError('not yours')",
            {"name": "InvalidScopeError", "message": "not yours"},
        ),
        (
            "credentials-exchange",
            "client, scope, audience, context, cb",
            "InvalidRequestError('odd')",
            {"name": "InvalidRequestError", "message": "odd"},
        ),
        (
            "credentials-exchange",
            "client, scope, audience, context, cb",
            "ServerError('down')",
            {"name": "ServerError", "message": "down"},
        ),
        (
            "send-phone-message",
            "recipient, text, context, cb",
            "SendPhoneMessageError('no credit')",
            {"name": "SendPhoneMessageError", "message": "no credit", "friendlyMessage": "no credit"},
        ),
    ],
)
async def test_each_error_class_is_in_scope_and_keeps_its_name(
    run: Run, trigger_id: str, parameters: str, call: str, error: dict[str, Any]
) -> None:
    """The points' error classes need no import, and the caller can tell them apart."""
    outcome = await run(f"def hook({parameters}):\n    cb({call})\n", trigger_id=trigger_id)

    assert ("denied", error["message"]) == (outcome.status, outcome.message)
    assert error.items() <= read(outcome.error).items()


CHAIN = """\
def send(user):
    try:
        return user["phone"]
    except KeyError as error:
        raise ValueError("no number") from error

def hook(user, context, cb):
    send(user)
"""


async def test_what_led_to_an_error_is_told_with_the_source_of_each_line(run: Run) -> None:
    """The error first, then its causes, each with its way through the hook's own file."""
    outcome = await run(CHAIN, {"user": {"email": 1}, "context": {"connection": {}}})
    causes = json.loads(outcome.json())["causes"]

    assert ["ValueError: no number", True] == [outcome.message, causes[1].pop("message").startswith("KeyError: ")]
    assert [
        {
            "message": "ValueError: no number",
            "steps": [
                {"line": 8, "function": "hook", "source": "send(user)"},
                {"line": 5, "function": "send", "source": 'raise ValueError("no number") from error'},
            ],
        },
        {"steps": [{"line": 3, "function": "send", "source": 'return user["phone"]'}]},
    ] == causes


async def test_an_error_that_was_raised_before_cb_got_it_tells_where(run: Run) -> None:
    """The line is where cb was called; the causes say where the error comes from."""
    outcome = await run(
        "def hook(user, context, cb):\n    try:\n        1 / 0\n    except Exception as e:\n        cb(e)\n"
    )

    assert ("denied", "division by zero", 5, "cb(e)") == (
        outcome.status,
        outcome.message,
        outcome.line,
        outcome.source,
    )
    assert [("ZeroDivisionError: division by zero", "1 / 0")] == [
        (cause.message, cause.steps[0].source) for cause in outcome.causes
    ]


async def test_a_line_that_the_source_does_not_have_is_told_without_a_text() -> None:
    """A worker may say anything."""
    steps = (Step(line=9_999_999, function="x"), Step(line=1, function=""))
    told = _with_source(Outcome(status="raised", message="", line=7, causes=(Cause(message="E", steps=steps),)), "a\nb")

    assert (None, [None, "a"]) == (told.source, [step.source for step in told.causes[0].steps])


@pytest.mark.parametrize("status", ["ok", "no_callback", "bad_result", "out_of_memory", "timeout"])
async def test_causes_come_with_an_error_or_not_at_all(status: Any) -> None:
    """Anything else is no frame of a worker of ours."""
    done = wire.Done(status, "", None, b"1" if status == "ok" else None, None, 0, 0, (wire.Cause("E", ()),))
    with pytest.raises(wire.ProtocolError, match="causes"):
        _checked(done, SimpleNamespace(quiet=True), wire.Limits())


async def test_an_exception_is_raised_with_its_line_and_source(run: Run) -> None:
    """The innermost line of the hook's own file, not that of a helper's caller."""
    outcome = await run(
        "def helper(user):\n    return 1 / user.logins\n\ndef hook(user, context, cb):\n    cb(None, helper(user))\n",
        {"user": {"logins": 0}, "context": {"connection": {}}},
    )

    assert ("raised", "ZeroDivisionError: division by zero") == (outcome.status, outcome.message)
    assert (2, "return 1 / user.logins") == (outcome.line, outcome.source)
    assert read(outcome.error)["name"] == "ZeroDivisionError"


async def test_a_missing_field_says_which_fields_there_are(run: Run) -> None:
    """A typing mistake in a field is the most usual fault of a hook."""
    outcome = await run("def hook(user, context, cb):\n    cb(None, user.emial)\n")

    assert (outcome.status, outcome.line) == ("raised", 2)
    assert "'emial'" in outcome.message
    assert "email" in outcome.message


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_the_source_of_a_line_is_right_for_every_line_ending(run: Run, end: str) -> None:
    """Python ends a line at all three; so must the text shown beside its number."""
    lines = ["def hook(user, context, cb):", "    x = 1", "    raise Error('here')", ""]
    outcome = await run(end.join(lines))

    assert ("raised", 3, "raise Error('here')") == (outcome.status, outcome.line, outcome.source)


async def test_a_hook_that_forgets_cb_is_told_to_call_it(run: Run) -> None:
    """Returning is no end: the message says what to write."""
    outcome = await run("def hook(user, context, cb):\n    x = 1\n")

    assert outcome.status == "no_callback"
    assert "call cb() when done" in outcome.message


async def test_a_result_that_is_no_json_is_named_by_its_path(run: Run) -> None:
    """The author learns which part of the result it is and how to convert it."""
    outcome = await run("def hook(user, context, cb):\n    x = {'tags': [1, {2, 3}]}\n    cb(None, x)\n")

    assert ("bad_result", 3, "cb(None, x)") == (outcome.status, outcome.line, outcome.source)
    assert "result['tags'][1] is a set" in outcome.message
    assert "list(" in outcome.message


async def test_a_result_that_is_too_large_is_told_both_sizes(run: Run) -> None:
    """How large it is and how large it may be."""
    outcome = await run("def hook(user, context, cb):\n    cb(None, 'x' * 5000)\n")

    assert ("bad_result", 2) == (outcome.status, outcome.line)
    assert "5002 bytes" in outcome.message
    assert "4096" in outcome.message


async def test_a_refused_source_is_rejected_with_every_finding(run: Run) -> None:
    """Nothing of it is run; each finding has its place."""
    outcome = await run("import json\nimport os\n\ndef hook(user, context, cb):\n    cb(user.__mro__)\n")

    assert ("rejected", 2, "import os") == (outcome.status, outcome.line, outcome.source)
    assert [("import", 2, 1), ("attribute", 5, 8)] == [
        (finding.rule, finding.line, finding.column) for finding in outcome.diagnostics
    ]
    assert "'os' is not available" in outcome.message
    assert "and 1 more" in outcome.message


async def test_the_column_of_a_finding_counts_characters(run: Run) -> None:
    """Letters that take several bytes stand for one column each, or every caret after them is off."""
    line = "x = 'žluťoučký'; import os"
    outcome = await run(f"{line}\n")

    assert line.index("import") + 1 == outcome.diagnostics[0].column
    assert len(line) + 1 == outcome.diagnostics[0].end


async def test_a_source_that_is_no_python_is_rejected_at_its_line(run: Run) -> None:
    """A syntax error is a finding like any other."""
    outcome = await run("def hook(user, context, cb):\n    cb(\n")

    assert ("rejected", "syntax") == (outcome.status, outcome.diagnostics[0].rule)
    assert outcome.line == 2


async def test_a_hook_with_the_wrong_parameters_is_rejected_with_the_right_ones(run: Run) -> None:
    """The hint can be copied."""
    outcome = await run("def hook(user, cb):\n    cb()\n")

    assert ("rejected", "arity") == (outcome.status, outcome.diagnostics[0].rule)
    assert "def hook(user, context, cb):" in outcome.diagnostics[0].hint


async def test_check_finds_what_run_would_reject(engine: Engine) -> None:
    """`check` runs nothing."""
    good = await engine.check(Hook("raise Error('never run')\n", POINT))
    bad = await engine.check(Hook("import os\n", POINT))

    assert (good.status, bad.status) == ("ok", "rejected")


async def test_a_busy_loop_is_stopped_with_its_line(run: Run) -> None:
    """The soft stop: the author learns where the time went."""
    outcome = await run(
        "def hook(user, context, cb):\n    x = 0\n    while True:\n        x += 1\n", limits=Limits(wall_ms=1_000)
    )

    assert outcome.status == "timeout"
    assert outcome.line in (3, 4)
    assert f"line {outcome.line}" in outcome.message
    assert outcome.source in ("while True:", "x += 1")


async def test_a_hook_cannot_swallow_the_soft_stop(run: Run) -> None:
    """Nothing is raised in the hook, so nothing can be caught."""
    outcome = await run(
        "def hook(user, context, cb):\n"
        "    while True:\n"
        "        try:\n"
        "            while True:\n"
        "                pass\n"
        "        except Exception:\n"
        "            pass\n",
        limits=Limits(wall_ms=1_000),
    )

    assert outcome.status == "timeout"


async def test_one_long_operation_in_c_is_killed_at_the_deadline(run: Run) -> None:
    """The hard stop: no line, but the reason why there is none."""
    outcome = await run("def hook(user, context, cb):\n    sum(range(10 ** 13))\n", limits=Limits(wall_ms=500))

    assert ("timeout", None) == (outcome.status, outcome.line)
    assert "500 ms" in outcome.message
    assert "one long operation" in outcome.message


async def test_asking_for_too_much_memory_is_out_of_memory_with_its_line(run: Run) -> None:
    """The worker's own limit, not the machine's."""
    outcome = await run("def hook(user, context, cb):\n    x = 1\n    x = 'a' * (1 << 30)\n")

    assert ("out_of_memory", 3, "x = 'a' * (1 << 30)") == (outcome.status, outcome.line, outcome.source)
    assert "memory" in outcome.message


@pytest.mark.parametrize(
    ("number", "part"), [(signal.SIGSEGV, "signal 11"), (signal.SIGSYS, "no hook may do"), (signal.SIGBUS, "signal 7")]
)
async def test_a_worker_that_dies_natively_is_crashed(
    engine: Engine, run: Run, until: Any, number: int, part: str
) -> None:
    """What the kernel's report says is told in words; other tenants notice nothing."""
    source = "import time\ndef hook(user, context, cb):\n    time.sleep(60)\n"
    assert (await engine.check(Hook(source, POINT, tenant="native"))).status == "ok"
    running = asyncio.create_task(run(source, tenant="native"))
    worker = await until(
        lambda: next((each for each in engine.pool._tenancies.leased if each.tenant == "native"), None), "a lease"
    )
    signal.pidfd_send_signal(worker.pidfd, number)
    outcome = await running

    assert ("crashed", None) == (outcome.status, outcome.line)
    assert part in outcome.message
    assert (await run(OK)).status == "ok"


async def test_the_log_comes_with_level_line_and_time(run: Run) -> None:
    """Of print and console, in the order of the calls."""
    outcome = await run(
        "def hook(user, context, cb):\n"
        "    print('a', 1)\n"
        "    console.warn('b')\n"
        "    console.error({'c': 2})\n"
        "    cb()\n"
    )

    assert [("info", "a 1", 2), ("warn", "b", 3), ("error", "{'c': 2}", 4)] == [
        (event.level, event.text, event.line) for event in outcome.logs
    ]
    assert all(event.at.endswith("Z") and len(event.at) == len("2026-01-01T00:00:00.000Z") for event in outcome.logs)


async def test_a_log_over_the_limit_is_cut_with_a_mark(run: Run) -> None:
    """The last event says that there would be more; the hook goes on."""
    outcome = await run(
        "def hook(user, context, cb):\n    for n in range(1000):\n        print('line', n)\n    cb(None, n)\n"
    )

    assert ("ok", 999) == (outcome.status, outcome.value())
    assert outcome.logs[-1].text.endswith("[log truncated: the limit is reached]")
    assert outcome.logs[-1].level == "warn"
    assert sum(len(event.text) for event in outcome.logs) <= 2_048 + 64
    assert not any("truncated" in event.text for event in outcome.logs[:-1])


async def test_the_log_so_far_survives_a_timeout(run: Run) -> None:
    """What a stuck hook said last is what its author needs."""
    outcome = await run(
        "def hook(user, context, cb):\n    print('before')\n    sum(range(10 ** 13))\n", limits=Limits(wall_ms=1_000)
    )

    assert ("timeout", ["before"]) == (outcome.status, [event.text for event in outcome.logs])


async def test_a_hook_without_any_log_allowance_still_runs(run: Run) -> None:
    """`log_bytes=0` means none, not the default."""
    outcome = await run("def hook(user, context, cb):\n    print('a')\n    cb()\n", limits=Limits(log_bytes=0))

    assert ("ok", 0) == (outcome.status, len(outcome.logs))


async def test_secrets_are_read_as_attributes_and_as_items(run: Run) -> None:
    """context.webtask.secrets holds this hook's secrets and no others."""
    outcome = await run(
        "def hook(user, context, cb):\n"
        "    s = context.webtask.secrets\n"
        "    cb(None, [s.KEY, s['KEY'], context.webtask.data.KEY, len(s)])\n",
        secrets={"KEY": "s3cret é"},
    )

    assert outcome.value() == ["s3cret é", "s3cret é", "s3cret é", 1]


async def test_secrets_of_one_run_are_gone_in_the_next(run: Run) -> None:
    """The same worker, the same source: nothing stays behind."""
    source = "def hook(user, context, cb):\n    cb(None, list(context.webtask.secrets))\n"
    first = await run(source, secrets={"KEY": "a"})
    second = await run(source)

    assert (["KEY"], []) == (first.value(), second.value())


async def test_a_hook_does_not_show_its_secrets() -> None:
    """Not in a log line, not in a traceback."""
    assert "s3cret" not in repr(Hook(OK, POINT, secrets={"KEY": "s3cret"}))


async def test_a_bare_script_is_a_hook(run: Run) -> None:
    """The point's parameters stand as globals."""
    outcome = await run("name = user.username\ncb(None, name.upper())\n")

    assert ("ok", "USER1") == (outcome.status, outcome.value())


async def test_module_exports_is_an_entry(run: Run) -> None:
    """For those who come from JavaScript; it goes before a function named hook."""
    outcome = await run(
        "def hook(user, context, cb):\n    cb(None, 'hook')\n\n"
        "def other(user, context, cb):\n    cb(None, 'other')\n\nmodule.exports = other\n"
    )

    assert outcome.value() == "other"


async def test_a_second_cb_is_a_warning(run: Run) -> None:
    """The first call counts."""
    outcome = await run("def hook(user, context, cb):\n    cb(None, 1)\n    cb(Error('late'))\n")

    assert ("ok", 1) == (outcome.status, outcome.value())
    assert [("warn", 3)] == [(event.level, event.line) for event in outcome.logs]


async def test_many_tenants_run_at_once_and_none_sees_another(run: Run) -> None:
    """Forty callers of twelve tenants: each gets the answer to its own question."""
    source = "def hook(user, context, cb):\n    cb(None, [user.n, context.webtask.secrets.T])\n"
    outcomes = await asyncio.gather(
        *(
            run(
                source,
                {"user": {"n": n}, "context": {"connection": {}}},
                tenant=f"many-{n % 12}",
                secrets={"T": str(n % 12)},
            )
            for n in range(40)
        )
    )

    assert {"ok"} == {outcome.status for outcome in outcomes}
    assert [[n, str(n % 12)] for n in range(40)] == [outcome.value() for outcome in outcomes]


async def test_every_run_has_an_id_of_its_own(run: Run) -> None:
    """context.webtask.execution_id tells two runs apart."""
    source = "def hook(user, context, cb):\n    cb(None, [context.webtask.id, context.webtask.execution_id])\n"
    first, second = (await run(source)).value(), (await run(source)).value()

    assert first[0] == first[1] != second[0]


async def test_a_source_is_compiled_once_per_tenant(engine: Engine, run: Run) -> None:
    """A worker counts its jobs: the first run of a source takes a check and a run, each later one a run."""
    for count in (2, 3, 4):
        await run(OK, tenant="once")
        jobs = sum(worker.jobs for worker in engine.pool._tenancies.idle if worker.tenant == "once")
        assert count == jobs


async def test_callers_at_the_same_time_share_one_check(engine: Engine, run: Run) -> None:
    """Eight first calls of one source: eight runs, one check."""
    await asyncio.gather(*(run(OK + "# shared\n", tenant="share") for _ in range(8)))

    assert 9 == sum(worker.jobs for worker in engine.pool._tenancies.idle if worker.tenant == "share")


async def test_the_code_of_one_tenant_is_not_used_for_another(engine: Engine, run: Run) -> None:
    """What one tenant's worker compiled is loaded in that tenant's workers only."""
    await run(OK, tenant="left")
    await run(OK, tenant="right")

    assert [2, 2] == [
        sum(worker.jobs for worker in engine.pool._tenancies.idle if worker.tenant == tenant)
        for tenant in ("left", "right")
    ]


async def test_a_seed_makes_random_repeat(run: Run) -> None:
    """And without one no two runs are alike."""
    source = (
        "import random\ndef hook(user, context, cb):\n    cb(None, [random.random(), random.randint(1, 10 ** 9)])\n"
    )
    drawn = [(await run(source, seed=seed)).value() for seed in (7, 7, 8, None, None)]

    assert drawn[0] == drawn[1]
    assert len({tuple(each) for each in drawn}) == 4


async def test_a_hooks_own_limits_lower_those_of_the_settings(run: Run) -> None:
    """Result, log and time."""
    limits = Limits(wall_ms=400, result_bytes=10, log_bytes=100)
    large = await run("def hook(user, context, cb):\n    cb(None, 'x' * 20)\n", limits=limits)
    noisy = await run("def hook(user, context, cb):\n    print('x' * 200)\n    cb()\n", limits=limits)
    slow = await run("import time\ndef hook(user, context, cb):\n    time.sleep(60)\n", limits=limits)

    assert ("bad_result", "timeout") == (large.status, slow.status)
    assert "10" in large.message
    assert noisy.logs[-1].text.endswith("[log truncated: the limit is reached]")
    assert len(noisy.logs[-1].text) < 200
    assert slow.usage.wall_ms < 9_000


async def test_a_hooks_own_limits_never_raise_those_of_the_settings(run: Run) -> None:
    """A tenant cannot give itself more than the operator gives."""
    limits = Limits(wall_ms=600_000, result_bytes=1 << 20, log_bytes=1 << 20)
    large = await run("def hook(user, context, cb):\n    cb(None, 'x' * 5000)\n", limits=limits)
    noisy = await run("def hook(user, context, cb):\n    print('x' * 5000)\n    cb()\n", limits=limits)

    assert "the most allowed is 4096" in large.message
    assert noisy.logs[-1].text.endswith("[log truncated: the limit is reached]")


async def test_an_unknown_point_names_the_nearest(engine: Engine, sample: dict[str, Any]) -> None:
    """A typing mistake costs one look."""
    with pytest.raises(UnknownPoint, match=r"did you mean 'post-change-password'\?") as caught:
        await engine.run(Hook(OK, "post-chnage-password"), sample)

    assert caught.value.status == 404


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b'{"user": \xff}', "not JSON"),
        (b'{"user": {"a": "\\ud800"}, "context": {"connection": {}}}', "not JSON"),
        (b'{"user": {"a": NaN}, "context": {"connection": {}}}', "not JSON"),
        ({"user": {"a": object()}, "context": {"connection": {}}}, "not JSON"),
        ({"user": {"a": "\ud800"}, "context": {"connection": {}}}, "not JSON"),
        (b"[]", "object with user, context"),
        ({}, "user"),
        ({"user": {}}, "context"),
        ({"user": 1, "context": {"connection": {}}}, r"\['user'\]"),
        ({"user": {}, "context": {"connection": 1}}, r"\['context'\]\['connection'\]"),
        ({"user": {"a": "x" * (2 << 20)}, "context": {"connection": {}}}, "the most allowed is 1048576"),
        (b"[" * 10_000 + b"]" * 10_000, "too deep"),
    ],
)
async def test_arguments_that_do_not_fit_are_the_callers_mistake(
    engine: Engine, run: Run, arguments: Any, part: str
) -> None:
    """The message says what was found; no worker is started for it; the engine goes on."""
    with pytest.raises(BadArguments, match=part) as caught:
        await run(OK, arguments)

    assert caught.value.status == 400
    assert len(str(caught.value)) < 1_000
    assert (await run(OK)).status == "ok"
    assert 0 == engine.pool.counts()["leased"]


@pytest.mark.parametrize("depth", [50, 200, 300, 900, 960, 980, 990, 1_000, 3_000, 20_000])
async def test_deep_arguments_are_taken_or_refused_but_never_a_hooks_fault(run: Run, depth: int) -> None:
    """What the engine lets pass the worker can read."""
    raw = b'{"user": {"email": 1, "a": ' + b"[" * depth + b"]" * depth + b'}, "context": {"connection": {}}}'
    try:
        outcome = await run(OK, raw)
    except BadArguments:
        return

    assert outcome.status == "ok"


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("", "empty"),
        (" \n\t\n", "empty"),
        ("x = 1\ny = '\0'\n", "NUL character at line 2"),
        ("#" * 100_001, "100001 bytes"),
        ("x = '\ud800'\n", "surrogate"),
    ],
)
async def test_a_source_that_cannot_be_a_hook_is_the_callers_mistake(run: Run, source: str, part: str) -> None:
    """Told before a worker is asked."""
    with pytest.raises(BadSource, match=part):
        await run(source)

    assert (await run(OK)).status == "ok"


@pytest.mark.parametrize(
    "fields",
    [
        {"seed": 2**70},
        {"seed": -(2**70)},
        {"secrets": {"KEY": "\udcff"}},
        {"secrets": {"\udcff": "a"}},
        {"secrets": {"KEY": "x" * (5 << 20)}},
        {"secrets": {"KEY": 1}},
    ],
    ids=["large seed", "small seed", "surrogate secret", "surrogate name", "huge secret", "number for a secret"],
)
async def test_a_hook_that_no_frame_can_carry_is_the_callers_mistake(run: Run, fields: dict[str, Any]) -> None:
    """An EngineError, not an exception from inside, and not an outcome that blames the hook."""
    with contextlib.suppress(BadInput):
        outcome = await run(OK, **fields)
        assert outcome.status == "ok"

    assert (await run(OK)).status == "ok"


async def test_compiling_without_end_is_rejected_and_harms_nobody(run: Run) -> None:
    """Deep nesting costs the compiler's memory or time, in a worker."""
    outcome = await run("x = " + "(" * 40_000 + ")" * 40_000 + "\n", tenant="bomb")

    assert outcome.status == "rejected"
    assert (await run(OK)).status == "ok"


async def test_after_all_of_it_the_engine_has_no_lease_and_no_caller_left(engine: Engine, until: Any) -> None:
    """The counts go back to their base line."""
    await until(lambda: engine.pool.counts()["starting"] == 0, "the reserve to be full")

    assert {"leased": 0, "waiting": 0} == {name: engine.pool.counts()[name] for name in ("leased", "waiting")}


async def test_every_error_of_ours_is_an_engine_error() -> None:
    """One `except` is enough for a caller."""
    assert all(issubclass(kind, EngineError) for kind in (BadInput, BadArguments, BadSource, UnknownPoint))
