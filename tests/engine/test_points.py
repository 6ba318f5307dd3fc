"""The extensibility points that come with the engine, as data and in use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from engine import points
from engine.errors import BadArguments, UnknownPoint
from engine.hook import Hook
from engine.outcome import Outcome
from engine.points import Point, all_points, point_named
from engine.points.faults import faults_of
from engine.points.reading import validator_of

POINTS = list(all_points().values())
MOST_BYTES = 1 << 20
SCRIPTS = sorted(Path(__file__).parents[2].joinpath("scripts").glob("*.py"))


@pytest.fixture(params=POINTS, ids=[point.id for point in POINTS])
def point(request: pytest.FixtureRequest) -> Point:
    found: Point = request.param
    return found


def test_the_five_points_of_the_model_are_there() -> None:
    """By the ids they have on its wire; three block the caller, two do not."""
    assert {
        "credentials-exchange": True,
        "post-change-password": False,
        "post-user-registration": False,
        "pre-user-registration": True,
        "send-phone-message": True,
    } == {point.id: point.blocking for point in POINTS}


def test_a_built_in_point_is_held_to_the_rules_of_an_operators_own() -> None:
    files = sorted(Path(points.__file__).parent.glob("*.yaml"))
    faults = [faults_of(yaml.safe_load(file.read_text(encoding="utf-8")), ()) for file in files]

    assert [[]] * len(POINTS) == faults


def test_where_nobody_waits_the_caller_goes_on_and_nothing_is_secret() -> None:
    """Who waits is refused without an answer: no token, no user, no code."""
    assert {True: {"closed"}, False: {"open"}} == {
        blocking: {point.fail for point in POINTS if point.blocking == blocking} for blocking in (True, False)
    }
    assert {"pre-user-registration": ("user.password",), "send-phone-message": ("text", "context.code")} == {
        point.id: point.secret for point in POINTS if point.secret
    }


def test_the_set_of_points_cannot_be_changed_from_outside() -> None:
    """What a caller does to its own copy is its own."""
    all_points().clear()

    assert 5 == len(all_points())


def test_a_sample_fits_its_own_schema(point: Point) -> None:
    """Both as data and as JSON."""
    raw = point.encode_arguments(point.sample, MOST_BYTES)

    assert raw == point.encode_arguments(raw, MOST_BYTES)
    assert point.sample == msgspec.json.decode(raw)


def test_the_parameters_are_those_of_the_schema_and_cb(point: Point) -> None:
    """In the order in which a hook gets them."""
    assert "cb" == point.parameters[-1]
    assert set(point.parameters[:-1]) == set(point.arguments["properties"])


def paths_of(value: Any, above: str = "") -> Iterator[str]:
    """The dotted paths of all that is in JSON objects within each other."""
    for name, below in value.items():
        if isinstance(below, dict) and below:
            yield from paths_of(below, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def test_the_fields_of_a_point_are_all_that_its_sample_has(point: Point) -> None:
    """By their dotted paths; below a star there may be anything."""
    opened = tuple(field.removesuffix("*") for field in point.fields if field.endswith(".*"))
    unknown = [
        path for path in paths_of(point.sample) if path not in point.fields and not f"{path}.".startswith(opened)
    ]

    assert [] == unknown
    assert len(point.fields) == len(set(point.fields))


def test_the_fields_of_a_point_are_those_of_the_model() -> None:
    """As AUTH0.md section 1.4 lists them; what has no described fields is open."""
    user = ("user.id", "user.username", "user.email", "user.last_password_reset")
    connection = ("context.connection.id", "context.connection.name", "context.connection.tenant")

    assert (*user, *connection) == point_named("post-change-password").fields
    assert {"client.metadata.*", "scope", "audience", "context.*"} < set(point_named("credentials-exchange").fields)
    assert {"recipient", "context.client.client_metadata.*"} < set(point_named("send-phone-message").fields)


def test_a_field_that_is_only_described_may_hold_anything() -> None:
    """AUTH0.md section 2.3 lists what is checked: the user is an object, and no more is asked of it."""
    point = point_named("pre-user-registration")
    for value in (None, "a@b.example", 1, {}):
        assert point.validator.is_valid({"user": {"email": value}, "context": {"connection": {}, "request": value}})


def no_findings(engine_thread: Any, source: str, point: str) -> bool:
    """Whether a check has nothing to say."""
    checked = engine_thread.wait(engine_thread.engine.check(Hook(source, point)))
    assert ("ok", (), ()) == (checked.status, checked.diagnostics, checked.warnings)
    return True


def test_a_starter_is_checked_without_a_warning(point: Point, engine_thread: Any) -> None:
    """What the editor shows first has no marks in it."""
    assert no_findings(engine_thread, point.starter, point.id)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_sample_script_is_checked_without_a_warning(path: Path, engine_thread: Any) -> None:
    """The samples are what authors copy."""
    cases = yaml.safe_load(path.with_suffix(".cases.yaml").read_text(encoding="utf-8"))

    assert no_findings(engine_thread, path.read_text(encoding="utf-8"), cases["point"])


def test_a_default_response_fits_its_own_schema(point: Point) -> None:
    """What a silent hook answers is an answer."""
    validator_of(point.response).validate(point.default_response)


def test_a_starter_is_accepted_and_runs_ok_on_the_sample(point: Point, run_hook: Callable[..., Outcome]) -> None:
    """The first hook an author sees works."""
    outcome = run_hook(point.starter, trigger_id=point.id)

    assert ("ok", "", ()) == (outcome.status, outcome.message, outcome.diagnostics)
    validator_of(point.response).validate(outcome.value())


def test_a_hook_gets_the_points_arguments_by_its_parameters(point: Point, run_hook: Callable[..., Outcome]) -> None:
    """In order, and each with its value."""
    names = point.parameters[:-1]
    source = f"def hook({', '.join(point.parameters)}):\n    cb(None, [{', '.join(names)}])\n"
    given = run_hook(source, trigger_id=point.id).value()

    assert [point.sample[name] for name in names if name != "context"] == given[:-1]
    assert point.sample["context"].items() <= given[-1].items()


def test_a_point_says_what_people_need_to_know(point: Point) -> None:
    """A title, one sentence and the type of its failures in the log."""
    assert all((point.title, point.about.endswith("."), point.failure_log_type))


@pytest.mark.parametrize(
    ("trigger_id", "arguments", "where"),
    [
        ("post-change-password", {"user": []}, "context"),
        ("post-change-password", {"user": [], "context": {"connection": {}}}, r"arguments\['user'\]"),
        ("post-change-password", {"user": {}, "context": {}}, r"arguments\['context'\]: \"connection\""),
        ("pre-user-registration", {"user": {}, "context": {"connection": None}}, r"\['context'\]\['connection'\]"),
        ("credentials-exchange", {"client": {}, "audience": 1, "scope": []}, r"arguments\['audience'\]"),
        ("credentials-exchange", {"client": {}, "audience": "", "scope": [1]}, r"arguments\['scope'\]\[0\]"),
        ("send-phone-message", {"recipient": "1", "text": 2, "context": {}}, "send-phone-message"),
    ],
)
def test_arguments_of_another_shape_are_refused_with_the_place(trigger_id: str, arguments: Any, where: str) -> None:
    """As data and as JSON alike."""
    point = point_named(trigger_id)
    for given in (arguments, msgspec.json.encode(arguments)):
        with pytest.raises(BadArguments, match=where):
            point.encode_arguments(given, MOST_BYTES)


SMS = point_named("send-phone-message").sample
CLIENT = {"client_id": "1", "name": "a"}


@pytest.mark.parametrize(
    ("trigger_id", "path", "refused", "taken"),
    [
        ("credentials-exchange", "client", [None, "a", [], ...], [{}, {"id": 1}]),
        ("credentials-exchange", "scope", ["a", {}, 1, [1]], [None, [], ["a"], ...]),
        ("credentials-exchange", "audience", [None, 1, ["a"], ...], ["", "a"]),
        ("credentials-exchange", "context", [None, "a", []], [{}, {"a": 1}, ...]),
        *[
            (point, path, [None, "a", 1, [], ...], [{}, {"more": None}])
            for point in ("pre-user-registration", "post-user-registration", "post-change-password")
            for path in ("user", "context.connection")
        ],
        *[
            (point, "context", [None, "a", {}, ...], [{"connection": {}}])
            for point in ("pre-user-registration", "post-user-registration", "post-change-password")
        ],
        ("send-phone-message", "recipient", [None, 1, ...], ["", "1"]),
        ("send-phone-message", "text", [None, {}, ...], ["", "1"]),
        ("send-phone-message", "context", [None, "", {}, ...], [SMS["context"]]),
        ("send-phone-message", "context.message_type", [None, "SMS", "fax", ...], ["sms", "voice"]),
        ("send-phone-message", "context.action", [None, "enrol", ...], ["enrollment", "second-factor-authentication"]),
        *[
            ("send-phone-message", f"context.{name}", [None, 1, ...], ["", "a"])
            for name in ("language", "code", "ip", "user_agent")
        ],
        ("send-phone-message", "context.client", [None, "a", {}, {"client_id": "1"}, {"name": "a"}], [CLIENT, ...]),
        ("send-phone-message", "context.client.client_metadata", [None, "a", []], [{}, {"a": 1}, ...]),
        ("send-phone-message", "context.user", [None, "a", [], ...], [{}]),
    ],
)
def test_arguments_are_checked_as_the_model_does_and_null_is_nothing(
    trigger_id: str, path: str, refused: list[Any], taken: list[Any]
) -> None:
    """AUTH0.md section 2.3, row by row; `...`: it is not there."""
    point = point_named(trigger_id)

    assert [] == [value for value in refused if point.validator.is_valid(with_value(point.sample, path, value))]
    assert [] == [value for value in taken if not point.validator.is_valid(with_value(point.sample, path, value))]


def with_value(sample: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A sample call with another value at a dotted path, or with none."""
    given: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(sample))
    *above, last = path.split(".")
    holder = given
    for name in above:
        holder = holder[name]
    if value is ...:
        holder.pop(last, None)
    else:
        holder[last] = value
    return given


def test_what_the_schema_does_not_name_may_be_there(point: Point) -> None:
    """A host may pass on more than the model did."""
    point.encode_arguments(point.sample | {"more": [1]}, MOST_BYTES)


def test_a_refusal_of_arguments_names_the_place_and_not_the_value() -> None:
    """It may be a password."""
    given = {"user": [{"password": "s3cret"}], "context": {"connection": {}}}
    with pytest.raises(BadArguments, match=r"arguments\['user'\]: it is not of type \"object\"") as caught:
        point_named("pre-user-registration").encode_arguments(given, MOST_BYTES)

    assert "s3cret" not in str(caught.value)


def test_arguments_over_their_size_are_refused_with_both_sizes(point: Point) -> None:
    """Whether they fit otherwise or not."""
    raw = point.encode_arguments(point.sample, MOST_BYTES)
    with pytest.raises(BadArguments, match=f"{len(raw)} bytes of JSON; the most allowed is {len(raw) - 1}"):
        point.encode_arguments(raw, len(raw) - 1)


@pytest.mark.parametrize(
    ("inner", "said"),
    [
        (b"[" + b"[]," * 10_000 + b"[]]", "more than 20000 values"),
        (b"[" * 64 + b"]" * 64, "more than 64 within each other"),
        (b"[" * 254 + b"]" * 254, "more than 64 within each other"),
        (b'"[[,"' + b',"x":' + b'{"a":' * 64 + b"1" + b"}" * 64, "more than 64 within each other"),
    ],
    ids=["values", "65 deep", "as deep as no validator tells", "beside texts"],
)
def test_arguments_that_cost_more_than_they_are_long_are_refused_before_anything_is_made_of_them(
    inner: bytes, said: str
) -> None:
    """Also those that do not fit the point: what they are is not looked at."""
    raw = b'{"client":5,"n":' + inner + b"}"
    with pytest.raises(BadArguments, match=said):
        point_named("credentials-exchange").encode_arguments(raw, MOST_BYTES)


def test_arguments_may_be_64_deep_and_hold_brackets_in_texts() -> None:
    raw = b'{"client":{},"audience":"[[[{{{,,,","scope":[],"context":{},"n":' + b"[" * 63 + b"]" * 63 + b"}"
    marks = b'{"client":{},"audience":"' + b"[,{" * 10_000 + b'","scope":[],"context":{}}'
    for given in (raw, marks):
        assert given == point_named("credentials-exchange").encode_arguments(given, MOST_BYTES)


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", 1.5, None, True, "é", {"a": {"b": [1, {"c": None}]}}])
def test_data_that_becomes_json_is_taken(value: Any) -> None:
    """What msgspec can write, in the shape that is written."""
    point = point_named("post-change-password")
    raw = point.encode_arguments({"user": {"x": value}, "context": {"connection": {}}}, MOST_BYTES)

    assert "x" in msgspec.json.decode(raw)["user"]


@pytest.mark.parametrize("value", [{1: {2: 3}}, {"a"}, [b"a"], 1])
def test_data_in_the_place_of_a_text_is_refused_and_not_a_crash(value: Any) -> None:
    """What JSON Schema looks at is what the hook would get."""
    point = point_named("send-phone-message")
    with pytest.raises(BadArguments, match="recipient"):
        point.encode_arguments(point.sample | {"recipient": value}, MOST_BYTES)


@pytest.mark.parametrize(
    ("asked", "nearest"), [("post-change-pasword", "post-change-password"), ("send-phone", "send-phone-message")]
)
def test_an_unknown_point_names_the_nearest_and_all(asked: str, nearest: str) -> None:
    """One look is enough."""
    with pytest.raises(UnknownPoint, match=f"did you mean '{nearest}'") as caught:
        point_named(asked)

    assert all(point.id in str(caught.value) for point in POINTS)


@pytest.mark.parametrize("asked", ["", "x" * 100_000, "\x1b[31m", "\udcff", "POST-CHANGE-PASSWORD", "../x"])
def test_any_other_text_is_an_unknown_point_in_one_printable_line(asked: str) -> None:
    """It may have come from anyone."""
    with pytest.raises(UnknownPoint) as caught:
        point_named(asked)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9/schema.json", "https://example.com/s", "file:///etc/passwd"])
def test_a_schema_may_not_refer_to_another_place(uri: str) -> None:
    """Nothing is fetched, from anywhere, when a point is read."""
    with pytest.raises(ValueError, match="nothing is fetched"):
        validator_of({"properties": {"user": {"$ref": uri}}})


def test_a_schema_may_refer_to_its_own_parts() -> None:
    """That needs no fetching."""
    schema = {"$defs": {"text": {"type": "string"}}, "$ref": "#/$defs/text"}

    assert validator_of(schema).is_valid("a")
