"""Case files: what is looked at, what is told when it differs, and which files cannot be used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from engine.app import Engine
from engine.cases import Verdict, find_cases, run_cases
from engine.config import Config
from engine.errors import BadInput, EngineError

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOOK = """import random
def hook(user, context, cb):
    print("for", user.email)
    print("drawn", random.randint(1, 10 ** 9))
    if user.get("blocked"):
        return cb(Error("blocked"))
    cb(None, {"mail": user.email, "key": context.webtask.secrets.get("KEY")})
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[Engine]:
    async with Engine(Config(wall_ms=10_000)) as started:
        yield started


@pytest.fixture
def verdicts(engine: Engine, tmp_path: Path) -> Any:
    """`await verdicts(cases_text, hook=HOOK)`: what comes of that file."""

    async def run(text: str, hook: str | bytes = HOOK) -> list[Verdict]:
        raw = hook.encode() if isinstance(hook, str) else hook
        (tmp_path / "greet.py").write_bytes(raw)
        (tmp_path / "greet.cases.yaml").write_text(f"point: post-change-password\n{text}", encoding="utf-8")
        return [verdict for path, file in find_cases(tmp_path) async for verdict in run_cases(engine, path, file)]

    return run


async def test_a_case_without_expectations_must_end_ok(verdicts: Any) -> None:
    """The point's sample is its call."""
    (verdict,) = await verdicts("cases: [{name: it runs}]\n")

    assert ("it runs", ()) == (verdict.case, verdict.faults)
    assert ("ok", "greet.py") == (verdict.outcome.status, verdict.file.name)
    assert verdict.seconds > 0


async def test_everything_that_is_expected_is_compared(verdicts: Any) -> None:
    """Status, result, log, error, message and line."""
    passed = await verdicts(
        """
secrets: {KEY: all}
cases:
  - name: sample
    arguments: sample
    expect: {status: ok, result: {mail: user1@foo.com, key: all}, logs: [for user1, drawn]}
  - name: own arguments and secret
    arguments: {user: {email: é@x.org}, context: {connection: {}}}
    secrets: {KEY: own}
    expect: {result: {mail: é@x.org, key: own}}
  - name: blocked
    arguments: {user: {email: a, blocked: true}, context: {connection: {}}}
    expect: {status: denied, message: block, line: 6, error: {name: Error, message: blocked}, result: null}
"""
    )

    assert [()] * 3 == [verdict.faults for verdict in passed]


@pytest.mark.parametrize(
    ("expect", "part"),
    [
        ("{status: denied}", "status: expected 'denied', found 'ok'"),
        ("{result: 1}", "result: expected 1, found {'mail'"),
        ("{error: {name: Error}}", "error: expected"),
        ("{line: 4}", "line: expected 4, found None"),
        ("{message: gone}", "message: 'gone' is not in ''"),
        ("{logs: []}", "logs: expected [], found ['for user1@foo.com'"),
        ("{logs: [for, other]}", "logs: expected ['for', 'other']"),
        ("{logs: [for]}", "logs: expected ['for']"),
    ],
)
async def test_what_differs_is_told_with_both_sides(verdicts: Any, expect: str, part: str) -> None:
    """The author sees what was expected and what came."""
    (verdict,) = await verdicts(f"cases: [{{name: a, expect: {expect}}}]\n")

    assert 1 == len(verdict.faults)
    assert part in verdict.faults[0]


async def test_a_failed_case_tells_what_the_hook_said(verdicts: Any) -> None:
    """A status alone explains nothing."""
    (verdict,) = await verdicts("cases: [{name: a}]\n", "def hook(user, context, cb):\n    cb(None, user.nothing)\n")

    assert any("there is no field 'nothing'" in fault for fault in verdict.faults)


async def test_a_rejected_hook_fails_its_cases(verdicts: Any) -> None:
    """It is a verdict like any other: the author may expect it, too."""
    failed, passed = await verdicts(
        "cases: [{name: a}, {name: b, expect: {status: rejected, line: 1, message: os}}]\n", "import os\n"
    )

    assert failed.faults[0] == "status: expected 'ok', found 'rejected'"
    assert passed.faults == ()


async def test_a_seed_makes_a_case_repeatable(verdicts: Any) -> None:
    """The same log twice."""
    first, second, third = await verdicts("cases: [{name: a, seed: 1}, {name: b, seed: 1}, {name: c, seed: 2}]\n")
    drawn = [verdict.outcome.logs[1].text for verdict in (first, second, third)]

    assert drawn[0] == drawn[1] != drawn[2]


async def test_a_time_in_yaml_is_an_argument_like_a_text(verdicts: Any) -> None:
    """The sample's own time, copied without quotes: YAML reads a date, the hook gets what JSON has."""
    (verdict,) = await verdicts(
        "cases: [{name: a, arguments: {user: {email: 2019-02-27T14:14:29Z}, context: {connection: {}}}}]\n"
    )

    assert ((), "2019-02-27T14:14:29Z") == (verdict.faults, verdict.outcome.value()["mail"])


async def test_a_hook_saved_with_a_byte_order_mark_is_read_as_elsewhere(verdicts: Any) -> None:
    """`run` and `check` take such a file; so do its cases."""
    (verdict,) = await verdicts("cases: [{name: a}]\n", b"\xef\xbb\xbf" + HOOK.encode())

    assert () == verdict.faults


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cases: 1\n",
        "cases: [\n",
        "cases: [{nam: a}]\n",
        "cases: [{name: a, expect: {status: fine}}]\n",
        "cases: [{name: a, expect: {resul: 1}}]\n",
        "cases: [{name: a, seed: one}]\n",
        "cases: [{name: a, seed: 99999999999999999999999}]\n",
        "cases: [{name: a, arguments: none}]\n",
        "cases: [{name: a, arguments: {user: {}}}]\n",
        "cases: [{name: a, secrets: {KEY: 1}}]\n",
        'cases: [{name: a, secrets: {KEY: "\\uD800"}}]\n',
        "cases: [{name: a}]\nmore: 1\n",
        "cases: " + "[" * 5_000 + "]" * 5_000 + "\n",
        "cases: !!python/object/apply:os.system [id]\n",
        "cases: [{[a]: 1}]\n",
    ],
)
async def test_a_file_that_cannot_be_used_is_one_clear_error(verdicts: Any, text: str) -> None:
    """An EngineError of one line, whatever is in it."""
    with pytest.raises(EngineError) as caught:
        await verdicts(text)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["cases: 1\n", "cases: [{name: a, arguments: {user: {}}}]\n", "cases: [{name: a}]\n"],
    ids=["shape", "arguments", "source"],
)
async def test_an_error_names_the_file_it_is_about(verdicts: Any, text: str) -> None:
    """A folder may hold a hundred of them."""
    with pytest.raises(EngineError, match=r"greet\.(py|cases\.yaml)"):
        await verdicts(text, "" if "{name: a}" in text else HOOK)


async def test_an_unknown_point_is_refused_with_the_nearest(tmp_path: Path, engine: Engine) -> None:
    """As everywhere."""
    (tmp_path / "greet.py").write_text(HOOK, encoding="utf-8")
    (tmp_path / "greet.cases.yaml").write_text("point: post-change-pasword\ncases: [{name: a}]\n", encoding="utf-8")
    ((path, file),) = find_cases(tmp_path)
    with pytest.raises(BadInput, match="did you mean 'post-change-password'"):
        [verdict async for verdict in run_cases(engine, path, file)]


async def test_cases_are_found_below_a_folder_by_name(tmp_path: Path) -> None:
    """In a fixed order, in folders of folders."""
    for name in ("b/two", "a/one", "zero"):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(HOOK, encoding="utf-8")
        path.with_suffix(".cases.yaml").write_text("point: p\ncases: []\n", encoding="utf-8")

    assert ["a/one.py", "b/two.py", "zero.py"] == [str(path.relative_to(tmp_path)) for path, _ in find_cases(tmp_path)]


async def test_a_hook_without_cases_is_refused(tmp_path: Path) -> None:
    """A hook that nobody tries would look like one that passed."""
    (tmp_path / "tried.py").write_text(HOOK, encoding="utf-8")
    (tmp_path / "tried.cases.yaml").write_text("point: p\ncases: []\n", encoding="utf-8")
    (tmp_path / "forgotten.py").write_text(HOOK, encoding="utf-8")
    with pytest.raises(BadInput, match=r"forgotten\.py has no cases; write forgotten\.cases\.yaml"):
        find_cases(tmp_path)


async def test_cases_without_a_hook_are_refused(tmp_path: Path, engine: Engine) -> None:
    """The error names the hook that is not there."""
    (tmp_path / "gone.cases.yaml").write_text("point: post-change-password\ncases: [{name: a}]\n", encoding="utf-8")
    ((path, file),) = find_cases(tmp_path)
    with pytest.raises(BadInput, match=r"gone\.py"):
        [verdict async for verdict in run_cases(engine, path, file)]


async def test_a_place_without_cases_is_refused(tmp_path: Path) -> None:
    """An empty run is not a passed one."""
    with pytest.raises(BadInput, match="there is no"):
        find_cases(tmp_path)
    for path in (tmp_path / "missing", Path(__file__)):
        with pytest.raises(BadInput, match="is not a directory"):
            find_cases(path)
