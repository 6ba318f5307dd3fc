"""Case files: what is looked at, what is told when it differs, and which files cannot be used."""

from __future__ import annotations

import re
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
        'cases: [{name: a}]\n"mo\\nre": 1\n',
        "cases: " + "[" * 5_000 + "]" * 5_000 + "\n",
        "cases: !!python/object/apply:os.system [id]\n",
        "cases: [{[a]: 1}]\n",
        "cases: [{name: a, http: {}}]\n",
        "cases: [{name: a, http: [{}]}]\n",
        "cases: [{name: a, http: [{when: {method: GET, url: /mail}}]}]\n",
        "cases: [{name: a, http: [{when: {method: GET, url: 'https://a/'}, reply: {status: 99}}]}]\n",
        "cases: [{name: a, http: [{when: {method: GET, url: 'https://a/', json: &a [*a]}}]}]\n",
        "cases: [{name: a, http: [{when: {method: GET, url: 'https://a/'}, reply: {json: {? [1] : 2}}}]}]\n",
        "http: []\ncases: [{name: a}]\n",
    ],
)
async def test_a_file_that_cannot_be_used_is_one_clear_error(verdicts: Any, text: str) -> None:
    """An EngineError of one line, whatever is in it."""
    with pytest.raises(EngineError) as caught:
        await verdicts(text)

    assert "\n" not in str(caught.value)


CALLER = """import requests
def hook(user, context, cb):
    try:
        reply = requests.post("https://api.example.com/mail", json={"to": user.email}, timeout=2)
    except requests.Timeout:
        return cb(Error("too late"))
    except requests.RequestException as error:
        return cb(None, f"none: {error}")
    cb(None, [reply.status_code, reply.json()])
"""
SENT = "{method: POST, url: 'https://api.example.com/mail', json: {to: user1@foo.com}}"


async def test_the_mocks_of_a_case_answer_the_calls_of_its_hook(verdicts: Any) -> None:
    """Each case has its own; the calls stand in the outcome."""
    first, second = await verdicts(
        f"""
cases:
  - name: taken
    http: [{{when: {SENT}, reply: {{status: 202, json: {{id: 7}}}}}}]
    expect: {{result: [202, {{id: 7}}]}}
  - name: refused
    http: [{{when: {SENT}, reply: {{status: 400, json: []}}}}]
    expect: {{result: [400, []]}}
""",
        CALLER,
    )

    assert [(), ()] == [first.faults, second.faults]
    assert [("POST", "https://api.example.com/mail", 202)] == [
        (call.method, call.url, call.status) for call in first.outcome.egress
    ]


async def test_a_call_that_no_mock_matches_fails_the_case(verdicts: Any) -> None:
    """Also when the hook copes with it and ends as expected; without mocks a case reaches no host at all."""
    other, none = await verdicts(
        f"""
cases:
  - name: another body
    http: [{{when: {SENT}}}]
    arguments: {{user: {{email: ada@example.org}}, context: {{connection: {{}}}}}}
  - name: no mocks
""",
        CALLER,
    )

    assert ("ok", "ok") == (other.outcome.status, none.outcome.status)
    url = "https://api.example.com/mail"
    differs = 'json: expected {"to":"user1@foo.com"}, sent {"to": "ada@example.org"}'
    assert (
        f"http: POST {url} matches no mock; the mocks left are: POST {url} ({differs})",
        f"http: the mock POST {url} was never called",
    ) == other.faults
    assert ("http: POST https://api.example.com/mail matches no mock; no mock is left",) == none.faults
    assert "no mock of this case answers POST https://api.example.com/mail" in none.outcome.value()


async def test_a_mock_that_is_not_called_fails_the_case(verdicts: Any) -> None:
    """A case that says what is called must be right about it."""
    (verdict,) = await verdicts(
        "cases: [{name: a, http: [{when: {method: GET, url: 'https://a.example/'}, times: 2}]}]\n"
    )

    assert ("http: the mock GET https://a.example/ was never called",) == verdict.faults


async def test_a_hook_meets_the_failures_that_its_mocks_stand_for(verdicts: Any) -> None:
    """At once, or when the hook's own timeout has passed."""
    at_once, after_a_while, gone = await verdicts(
        f"""
cases:
  - name: at once
    http: [{{when: {SENT}, reply: {{error: timeout}}}}]
    expect: {{status: denied, message: too late}}
  - name: after a while
    http: [{{when: {SENT}, reply: {{delay: 600}}}}]
    expect: {{status: denied, message: too late}}
  - name: gone
    http: [{{when: {SENT}, reply: {{error: connection}}}}]
    expect: {{status: ok}}
""",
        CALLER.replace("timeout=2", "timeout=0.2"),
    )

    assert [(), (), ()] == [at_once.faults, after_a_while.faults, gone.faults]
    assert at_once.seconds < 0.2 <= after_a_while.seconds
    assert ["read_timeout", "read_timeout", "connection"] == [
        verdict.outcome.egress[0].error for verdict in (at_once, after_a_while, gone)
    ]


async def test_a_hook_meets_every_cookie_of_a_mock(verdicts: Any) -> None:
    """A header with a list of values stands once for each."""
    (verdict,) = await verdicts(
        """
cases:
  - name: two
    http: [{when: {method: GET, url: "https://a.example/"}, reply: {headers: {Set-Cookie: [a=1, b=2]}}}]
    expect: {result: ["1", "2"]}
""",
        """import requests
def hook(user, context, cb):
    reply = requests.get("https://a.example/", timeout=2)
    cb(None, [reply.cookies["a"], reply.cookies["b"]])
""",
    )

    assert () == verdict.faults


async def test_a_case_goes_by_the_default_rules_whatever_the_settings_say(tmp_path: Path) -> None:
    """It is the hook that is tried, not the machine: what the settings close is open, what they open is closed."""
    write_caller(tmp_path, "https://api.example.com/")
    write_caller(tmp_path, "http://127.0.0.1/")
    config = Config(egress_listed_only=True, egress_ports=("8080",), egress_exceptions=("127.0.0.1",), egress_calls=0)
    async with Engine(config) as strict:
        verdicts = [each for path, file in find_cases(tmp_path) async for each in run_cases(strict, path, file)]

    assert ["private-address", None] == [verdict.outcome.egress[0].refused for verdict in verdicts]
    assert () == verdicts[1].faults


def write_caller(folder: Path, url: str) -> None:
    """A hook that calls that URL, and a case with a mock of it."""
    name = url.partition(":")[0]
    (folder / f"{name}.py").write_text(f"import requests\nrequests.get({url!r}, timeout=2)\ncb()\n", encoding="utf-8")
    (folder / f"{name}.cases.yaml").write_text(
        f"point: post-change-password\ncases: [{{name: a, http: [{{when: {{method: GET, url: {url!r}}}}}]}}]\n",
        encoding="utf-8",
    )


async def test_a_redirect_of_a_mock_is_another_call(verdicts: Any) -> None:
    """As it is everywhere."""
    (verdict,) = await verdicts(
        """
cases:
  - name: sent on
    http:
      - when: {method: GET, url: "https://a.example/old?x=1"}
        reply: {status: 302, headers: {Location: /new}}
      - when: {method: GET, url: "https://a.example/n*"}
        reply: {text: here}
    expect: {result: [here, "https://a.example/new", 1]}
""",
        """import requests
def hook(user, context, cb):
    reply = requests.get("https://a.example/old", params={"x": 1}, timeout=2)
    cb(None, [reply.text, reply.url, len(reply.history)])
""",
    )

    assert () == verdict.faults


async def test_the_rules_of_the_broker_hold_for_mocks_too(verdicts: Any) -> None:
    """What would be refused outside is refused here, and the mock stays without a call."""
    (verdict,) = await verdicts(
        "cases: [{name: a, http: [{when: {method: GET, url: 'http://127.0.0.1/'}}], expect: {status: raised}}]\n",
        "import requests\ndef hook(user, context, cb):\n    requests.get('http://127.0.0.1/', timeout=2)\n",
    )

    assert "private-address" == verdict.outcome.egress[0].refused
    assert "EgressRefused: rule private-address: " in verdict.outcome.message
    assert "http: the mock GET http://127.0.0.1/ was never called" == verdict.faults[0]


async def test_a_bad_mock_is_told_with_its_place(verdicts: Any) -> None:
    """File, place in it, what was found."""
    with pytest.raises(BadInput) as caught:
        await verdicts("cases: [{name: a}, {name: b, http: [{when: {method: GET, url: here}}]}]\n")

    assert "greet.cases.yaml: 'here' is no URL as it is sent" in str(caught.value)
    assert "at `$.cases[1].http[0].when`" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "cases: [{name: a, http: [{when: {method: post, url: 'https://a/'}}]}]\n",
            "'post' - at `$.cases[0].http[0].when.method`; write DELETE, GET, HEAD, OPTIONS, PATCH, POST or PUT",
        ),
        (
            "cases: [{name: a, http: [{when: {method: GET, url: 'https://a/'}, reply: {error: slow}}]}]\n",
            "at `$.cases[0].http[0].reply.error`; write connect_timeout, connection, timeout or tls",
        ),
        (
            "cases: [{name: a, http: [{when: {method: GET, url: 'https://a/'}, reply: {statu: 1}}]}]\n",
            "`$.cases[0].http[0].reply`; its fields are status, headers, json, text, base64, delay and error",
        ),
        ("cases: [{name: a}]\nhttp: []\n", "unknown field `http`; its fields are point, cases and secrets"),
        ("cases: [{name: a}, {nam: b}]\n", "`$.cases[1]`; its fields are name, expect, arguments, secrets, seed and"),
        ("cases: [{name: a, arguments: none}]\n", "at `$.cases[0].arguments`; write sample or a mapping"),
        ("cases: []\n'a - at `$.b`': 1\n", "`; its fields are point, cases and secrets"),
        ("cases: []\n'a` - at `$.b': 1\n", "unknown field `a` - at `$.b`"),
        (
            "cases: [{name: a, http: [{when: {method: GET, url: 'https://a/'}, reply: {headers: {A: 1}}}]}]\n",
            "headers[...]",
        ),
        ("cases: [{name: a, seed: one}]\n", "Expected `int | null`, got `str` - at `$.cases[0].seed`"),
    ],
)
async def test_what_may_not_stand_there_is_told_with_what_may(verdicts: Any, text: str, said: str) -> None:
    """The author need not look it up."""
    with pytest.raises(BadInput) as caught:
        await verdicts(text)

    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["cases: [\n", "cases: [{name: a, seed: .nan}]\n", "\x00\n"])
async def test_a_fault_of_the_yaml_is_told_by_the_name_of_its_file(verdicts: Any, text: str) -> None:
    """And by its place in it."""
    with pytest.raises(BadInput) as caught:
        await verdicts(text)

    assert re.search(r'in "greet\.cases\.yaml", (line|position) ', str(caught.value))


@pytest.mark.parametrize("number", [".nan", "-.inf", "1.0e+999", "!!float nan"])
@pytest.mark.parametrize(
    "place",
    [
        "arguments: {user: {email: NUMBER}, context: {connection: {}}}",
        "http: [{when: {method: GET, url: 'https://a/', json: {a: NUMBER}}}]",
        "http: [{when: {method: GET, url: 'https://a/'}, reply: {json: [NUMBER]}}]",
        "expect: {result: NUMBER}",
    ],
    ids=["arguments", "when", "reply", "expect"],
)
async def test_a_number_that_json_does_not_have_is_refused(verdicts: Any, place: str, number: str) -> None:
    """It would silently become null."""
    with pytest.raises(BadInput, match="is no number of JSON; write null, or a text in quotes"):
        await verdicts(f"cases: [{{name: a, {place.replace('NUMBER', number)}}}]\n")


async def test_the_example_of_the_page_on_cases_passes(verdicts: Any) -> None:
    """Hook and cases, as they stand there."""
    page = (Path(__file__).parents[2] / "docs/cases.md").read_text(encoding="utf-8")
    hook, cases = re.findall(r"```(?:python|yaml)\n(.*?)```", page, re.DOTALL)

    assert [(), ()] == [verdict.faults for verdict in await verdicts(cases.partition("\n")[2], hook)]


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
