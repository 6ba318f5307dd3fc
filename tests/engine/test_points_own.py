"""An operator's own points: YAML files in a folder, read with every fault told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import answers
from engine.errors import BadConfig, UnknownPoint
from engine.hook import Hook
from engine.outcome import Outcome
from engine.points import all_points, load_points, point_named
from engine.points.faults import faults_of

PAGE = Path(__file__).parents[2].joinpath("docs/points.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
BUILT_IN = tuple(all_points())
SMALL: dict[str, Any] = {
    "id": "pre-order",
    "title": "Pre-Order",
    "about": "Before an order is placed.",
    "blocking": True,
    "parameters": ["order", "context", "cb"],
    "arguments": {"type": "object", "properties": {"order": {"type": "object"}, "context": {"type": "object"}}},
    "failure_log_type": "pre_order_failed",
    "starter": "def hook(order, context, cb):\n    cb()\n",
    "sample": {"order": {"id": 1}, "context": {}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where the points come from; none of them is there afterwards."""
    yield tmp_path
    load_points(None)


@pytest.fixture
def load(folder: Path) -> Callable[..., None]:
    """`load(name=data or text, …)`: these files and no others, read as points."""

    def write_and_load(**files: Any) -> None:
        for old in folder.iterdir():
            old.unlink()
        for name, data in files.items():
            text = data if isinstance(data, str) else yaml.safe_dump(data, sort_keys=False)
            folder.joinpath(f"{name}.yaml").write_text(text, encoding="utf-8")
        load_points(str(folder))

    return write_and_load


def faults_told(load: Callable[..., None], **files: Any) -> list[str]:
    """What is said of these files, fault by fault."""
    with pytest.raises(BadConfig) as caught:
        load(**files)
    _, _, told = str(caught.value).partition(": ")
    return told.split("; ")


def test_a_point_of_a_file_stands_beside_the_built_in_ones(load: Callable[..., None]) -> None:
    load(a=SMALL, b=SMALL | {"id": "post-order", "blocking": False})

    assert [*BUILT_IN, "pre-order", "post-order"] == list(all_points())
    assert ("Pre-Order", ("order.*", "context.*")) == (point_named("pre-order").title, point_named("pre-order").fields)


def test_what_a_file_leaves_out_is_cautious(load: Callable[..., None]) -> None:
    """Who waits refuses; an error is 500; a response counts whole; nothing is a default."""
    load(a=SMALL, b=SMALL | {"id": "post-order", "blocking": False})
    waits, goes_on = point_named("pre-order"), point_named("post-order")

    assert ("closed", "open") == (waits.fail, goes_on.fail)
    assert ((), (), None, {}, None) == (waits.secret, waits.kept, waits.claims, waits.log_types, waits.success_log_type)
    assert b"null" == answers.initial(waits, b"{}")
    assert b'[{"a":1.10}]' == answers.fitting(waits, b'[{"a":1.10}]', b"null")
    assert b'{"message":"why","statusCode":500}' == answers.error_of(waits, Outcome(status="denied", message="why"))


def test_the_example_of_the_documents_is_a_point_whose_starter_runs(
    load: Callable[..., None], run_hook: Callable[..., Outcome], engine_thread: Any
) -> None:
    """Its answer keeps to its own rules, and so does its refusal."""
    load(example=EXAMPLE)
    point = point_named("pre-order")
    outcome = run_hook(point.starter, trigger_id=point.id)
    raw = msgspec.json.encode(point.sample)
    checked = engine_thread.wait(engine_thread.engine.check(Hook(point.starter, point.id)))

    assert ("ok", (), ()) == (checked.status, checked.diagnostics, checked.warnings)
    assert b'{"discount_percent":5}' == answers.fitting(point, bytes(outcome.result), answers.initial(point, raw))
    assert "card" not in msgspec.json.decode(answers.redacted(point, raw))["customer"]

    dear = point.sample | {"order": {"total_cents": 2_000_000}}
    refused = run_hook(point.starter, dear, trigger_id=point.id)
    assert {
        "name": "Refused",
        "message": "call us",
        "reason": "call us",
        "statusCode": 409,
        "code": "refused",
    } == msgspec.json.decode(answers.error_of(point, refused))


def test_a_hook_of_an_own_point_reads_its_secrets_and_any_arguments(
    load: Callable[..., None], engine_thread: Any
) -> None:
    """`context` need not come: `context.webtask` is there all the same."""
    load(a=SMALL)
    source = "def hook(order, context, cb):\n    cb(None, [order.id, context.webtask.secrets.KEY])\n"
    hook = Hook(source, "pre-order", secrets={"KEY": "s3cret"})
    outcome = engine_thread.wait(engine_thread.engine.run(hook, {"order": {"id": 7}}))

    assert ("ok", [7, "s3cret"]) == (outcome.status, outcome.value())


def test_every_field_of_a_file_stands_in_the_documents() -> None:
    shape = msgspec.json.decode(Path(answers.__file__).with_name("points").joinpath("point.schema.json").read_bytes())
    described = {
        name for cell in re.findall(r"^\| (`.*?`) \|", PAGE, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)
    }

    assert set() == set(shape["properties"]) - described


def test_the_documents_tell_every_built_in_point_as_it_is() -> None:
    rows = {
        row[0]: row[1:]
        for row in re.findall(r"^\| `([a-z-]+)` \| ([a-z ]+) \| (\w+) \| .* \| (.*?)\|$", PAGE, re.MULTILINE)
    }
    points = (point_named(name) for name in BUILT_IN)

    assert {
        point.id: (
            "waits" if point.blocking else "goes on",
            point.fail,
            ", ".join(f"`{path}`" for path in point.secret),
        )
        for point in points
    } == {name: (caller, fail, secret.strip()) for name, (caller, fail, secret) in rows.items()}


def test_loading_again_replaces_and_loading_nothing_takes_away(load: Callable[..., None]) -> None:
    load(a=SMALL)
    load(b=SMALL | {"id": "post-order"})
    with pytest.raises(UnknownPoint, match="post-order"):
        point_named("pre-order")

    load_points(None)
    assert BUILT_IN == tuple(all_points())


def test_a_faulty_folder_changes_nothing(load: Callable[..., None]) -> None:
    load(a=SMALL)
    with pytest.raises(BadConfig):
        load(a=SMALL | {"id": "post-order"}, b="id: [")

    assert [*BUILT_IN, "pre-order"] == list(all_points())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"blockin": True}, "blockin: there is no such field"),
        ({"id": None}, "id: null is not of type"),
        ({"id": "Pre Order"}, 'id: "Pre Order" does not match'),
        ({"id": "post-change-password"}, "id: there is a point post-change-password already"),
        ({"title": ""}, "title: "),
        ({"blocking": "yes"}, 'blocking: "yes" is not of type "boolean"'),
        ({"fail": "ajar"}, 'fail: "ajar" is not one of'),
        ({"parameters": ["order", "context"]}, "parameters: found order, context; the last two must be context and cb"),
        ({"parameters": ["order", "cb", "context"]}, "parameters: found order, cb, context"),
        ({"parameters": ["Order", "context", "cb"]}, "parameters.0: "),
        ({"parameters": ["order", "order", "context", "cb"]}, "parameters: "),
        ({"parameters": ["class", "order", "context", "cb"]}, "parameters: class cannot be the name"),
        ({"parameters": ["console", "order", "context", "cb"]}, "parameters: console cannot be the name"),
        ({"parameters": ["order", "extra", "context", "cb"]}, "arguments.properties: extra of parameters is not there"),
        ({"parameters": ["context", "cb"]}, "arguments.properties: order is no parameter"),
        ({"arguments": {"type": "object"}}, "arguments.properties: it must be set"),
        ({"arguments": {"type": "array", "properties": {}}}, "arguments.type: "),
        ({"sample": {"order": 1, "context": {}}}, "sample.order: it does not fit the schema in arguments"),
        ({"sample": None}, "sample: null is not of type"),
        ({"secret": ["ordr.id"]}, "secret: ordr.id is no field"),
        ({"secret": "order"}, 'secret: "order" is not of type "array"'),
        (
            {"blocking": False, "secret": ["order.id"]},
            "secret: the arguments of a point that does not block are stored",
        ),
        ({"blocking": False, "kept": ["a"]}, "kept: a point that does not block answers nobody"),
        ({"blocking": False, "claims": []}, "claims: a point that does not block answers nobody"),
        ({"response": {"type": "strng"}}, "response.type: it is no JSON Schema that can be used"),
        ({"response": {"$ref": "http://127.0.0.1:9/s"}}, "response: it is no JSON Schema that can be used"),
        ({"response": {"pattern": "(?=a)"}}, "response.pattern: it is no JSON Schema that can be used"),
        ({"response": {"type": "object"}}, "default_response: it does not fit the schema in response"),
        ({"without_hooks": {"a": "customer"}}, "without_hooks: customer is no field"),
        ({"without_hooks": {"a": "order"}, "default_response": 1}, "without_hooks: default_response is no object"),
        ({"kept": ["a..b"]}, "kept.0: "),
        ({"kept": ["a"], "renewed": ["b"]}, "renewed: b is not in kept"),
        ({"kept": ["a"], "plain_keys": ["b"]}, "plain_keys: b is not in kept"),
        ({"plain_keys": ["b"]}, "plain_keys: it says nothing without kept"),
        ({"errors": {}}, "errors.default: it must be set"),
        ({"errors": {"default": {}}}, "errors.default.statusCode: it must be set"),
        ({"errors": {"default": {"statusCode": 200}}}, "errors.default.statusCode: 200 is less than"),
        ({"errors": {"default": {"statusCode": 500, "message": "a"}}}, "errors.default.message: it may not be set"),
        ({"error_fields": {"name": "message"}}, "error_fields.name: it may not be set"),
        ({"failure_log_type": "Failed!"}, "failure_log_type: "),
        ({"log_types": {"order.kind": {"a": {"success": "b"}}}}, "log_types.order.kind.a.failure: it must be set"),
        ({"log_types": {"kind": {}}}, "log_types: kind is no field"),
        ({"starter": ""}, "starter: "),
    ],
)
def test_a_fault_names_file_and_field(load: Callable[..., None], change: dict[str, Any], told: str) -> None:
    faults = faults_told(load, a=SMALL | change)

    assert any(fault.startswith("a.yaml: ") for fault in faults)
    assert f"a.yaml: {told}" in "; ".join(faults)


@pytest.mark.parametrize("path", ["order", "order.card.number", "context", "context.code"])
def test_a_whole_object_may_be_secret_and_what_is_below_an_open_one(load: Callable[..., None], path: str) -> None:
    load(a=SMALL | {"secret": [path]})
    raw = msgspec.json.encode({"order": {"card": {"number": "4"}}, "context": {"code": "4"}})

    assert raw.count(b'"4"') > answers.redacted(point_named("pre-order"), raw).count(b'"4"')


def test_hosts_of_claims_are_the_same_in_capitals(load: Callable[..., None]) -> None:
    load(a=SMALL | {"claims": ["Example.COM"]})
    response = msgspec.json.encode({"https://example.com/a": 1, "https://example.org/a": 2})

    assert b'{"https://example.org/a":2}' == answers.fitting(point_named("pre-order"), response, b"null")


@pytest.mark.parametrize("name", sorted(SMALL))
def test_what_a_point_needs_is_missed_by_its_name(load: Callable[..., None], name: str) -> None:
    assert [f"a.yaml: {name}: it must be set"] == faults_told(load, a={key: SMALL[key] for key in SMALL if key != name})


@pytest.mark.parametrize("known", sorted({*SMALL, "secret", "error_fields"}))
def test_a_mistyped_field_is_told_with_the_nearest(load: Callable[..., None], known: str) -> None:
    mistyped = known[:-1]

    assert f"did you mean '{known}'?" in faults_told(load, a=SMALL | {mistyped: 1})


def test_all_faults_of_all_files_are_told_at_once(load: Callable[..., None]) -> None:
    faults = faults_told(
        load,
        a=SMALL | {"blockin": 1, "parameters": ["order"], "secret": ["ordr"], "response": {"type": "x"}},
        b={"id": "pre-user-registration"},
        c="- one\n",
        d=SMALL | {"id": "post-order"},
        e=SMALL,
    )
    of = {file: [fault for fault in faults if fault.startswith(f"{file}.yaml: ")] for file in "abcde"}

    assert {"a": 4, "b": 9, "c": 1, "d": 0, "e": 1} == {file: len(told) for file, told in of.items()}
    assert ["e.yaml: id: there is a point pre-order already"] == of["e"]  # by a.yaml, whatever is wrong with it


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it is no mapping of fields"),
        ("a: [", "it cannot be read as YAML"),
        ("\udcff", "it cannot be read as YAML"),
        ("&a [*a]", "it is nested too deeply"),
        ("[" * 100_000, "it is nested too deeply"),
        ("!!python/object/apply:os.getpid []", "it cannot be read as YAML"),
        ("a: .nan", "a: nan is nothing that JSON has"),
        ("a: {b: [!!binary aGk=]}", "a.b[0]: b'hi' is nothing that JSON has"),
        ("on: 1", "the file: the name True is no text"),
    ],
)
def test_what_is_no_data_is_a_fault_and_not_a_crash(
    load: Callable[..., None], folder: Path, text: str, told: str
) -> None:
    load(a=SMALL)
    folder.joinpath("b.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadConfig, match=re.escape(told)) as caught:
        load_points(str(folder))

    assert str(caught.value).isprintable()


def test_a_time_in_a_sample_is_a_text(load: Callable[..., None]) -> None:
    load(a=yaml.safe_dump(SMALL).replace("id: 1", "id: 2019-02-27T14:14:29Z"))

    assert "2019-02-27T14:14:29Z" == point_named("pre-order").sample["order"]["id"]


def test_a_folder_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    for place in (tmp_path / "none", tmp_path / "a.yaml"):
        if place.suffix:
            place.write_text("")
        with pytest.raises(BadConfig, match=f"points: the folder {re.escape(str(place))} cannot be read"):
            load_points(str(place))


def test_other_files_of_the_folder_are_left_alone(load: Callable[..., None], folder: Path) -> None:
    load(a=SMALL)
    for name in ("README.md", ".hidden.yaml", "b.yaml~"):
        folder.joinpath(name).write_text("[")
    load_points(str(folder))

    assert [*BUILT_IN, "pre-order"] == list(all_points())


def test_a_pattern_of_a_point_takes_no_time_on_what_a_stranger_sends(load: Callable[..., None]) -> None:
    """One that goes back and forth would need longer than the world has."""
    arguments = SMALL["arguments"] | {
        "properties": SMALL["arguments"]["properties"] | {"order": {"pattern": "^(a+)+$"}}
    }
    load(a=SMALL | {"arguments": arguments, "sample": {"order": "a", "context": {}}})

    assert not point_named("pre-order").validator.is_valid({"order": "a" * 100_000 + "!"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.sampled_from([*SMALL, "kept", "x"]), below, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*SMALL, "secret", "kept", "errors", "claims", "log_types", "response"]), JSON))
def test_whatever_stands_in_a_file_its_faults_are_texts(change: dict[str, Any]) -> None:
    assert all(isinstance(fault, str) and ": " in fault for fault in faults_of(SMALL | change, BUILT_IN))
