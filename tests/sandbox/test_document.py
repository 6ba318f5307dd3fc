"""JSON as a hook sees it, and back: exact types only, and the refusal says where."""

from __future__ import annotations

import copy
import datetime
import decimal
import enum
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.document import Document, NotPlain, encode, parse, plain
from sandbox.wire import is_json

texts = st.text(st.characters(codec="utf-8"), max_size=20)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)


class Text(str):
    """A text that lies about itself."""

    __slots__ = ()

    def __str__(self) -> str:
        return "lie"

    def encode(self, *_: object) -> bytes:
        return b"lie"


class Number(int):
    def __add__(self, _: object) -> int:
        return 666

    def __repr__(self) -> str:
        return "[]"


class Mapping(dict):
    def items(self) -> list:
        return [("lie", 1)]


class Colour(enum.IntEnum):
    RED = 3


@given(values)
def test_json_comes_back_as_it_was(value: Any) -> None:
    assert value == json.loads(encode(value))


@given(values)
def test_what_is_parsed_is_encoded_to_the_same(value: Any) -> None:
    assert value == json.loads(encode(parse(json.dumps(value).encode())))


@pytest.mark.parametrize(
    "raw",
    [b' {"a": [1]}', b'{"a": [1]}\n', b"\t2 ", b"", b" ", b"nul", b"[1,]", b'{"a": 1} 2', b"1 2", b'"\x00"', b"{"],
)
def test_what_is_parsed_is_what_json_says_or_its_fault(raw: bytes) -> None:
    """Also with white space around it."""

    def outcome(read: Any) -> Any:
        try:
            return read(raw)
        except json.JSONDecodeError as error:
            return str(error)

    assert outcome(json.loads) == outcome(parse)


@given(values)
def test_what_is_encoded_is_json_to_the_engine(value: Any) -> None:
    assert is_json(encode(value))


@given(st.dictionaries(texts, scalars, min_size=1, max_size=4))
def test_a_field_reads_the_same_by_attribute_and_by_item(fields: Any) -> None:
    document = Document(fields)
    for name in fields:
        assert document[name] == fields[name] == document.get(name)
        if not hasattr(dict, name) and not name.startswith("__"):
            assert getattr(document, name) == fields[name]


@pytest.mark.parametrize("name", ["__mro__", "__dataclass_fields__", "__next__", "__"])
def test_a_field_named_like_a_special_method_is_reached_by_item_alone(name: str) -> None:
    """Or an argument could pass for a class, a dataclass, anything."""
    document = Document({name: 1})

    assert 1 == document[name]
    with pytest.raises(AttributeError):
        getattr(document, name)


def test_every_object_inside_is_a_document() -> None:
    user = parse(b'{"a": {"b": [{"c": 1}]}}')

    assert user.a.b[0].c == user["a"]["b"][0]["c"] == 1


def test_a_field_is_written_and_deleted_by_attribute_and_by_item() -> None:
    user = parse(b'{"a": 1, "b": 2}')
    user.a = 3
    user["c"] = 4
    del user.b

    assert dict(user) == {"a": 3, "c": 4}


def test_a_missing_field_says_which_there_are() -> None:
    user = parse(b'{"name": 1, "email": 2}')
    with pytest.raises(AttributeError, match="there is no field 'phone' here; the fields are: name, email"):
        _ = user.phone
    with pytest.raises(AttributeError, match="there is no field 'phone'"):
        del user.phone
    with pytest.raises(AttributeError, match="the fields are: none"):
        _ = Document().phone


def test_a_field_named_like_a_method_is_reached_by_item() -> None:
    user = parse(b'{"items": 1}')

    assert user["items"] == 1
    assert list(user.items()) == [("items", 1)]


def test_a_copy_reads_the_same_and_is_another() -> None:
    user = parse(b'{"a": 1}')
    other = user.copy()
    other.a = 2

    assert (1, 2) == (user.a, other.a)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_does_not_have_is_refused_with_its_place(value: Any) -> None:
    with pytest.raises(NotPlain, match=r"result\['a'\]\[1\] is (nan|inf|-inf), which JSON does not have"):
        encode({"a": [0, value]})


def test_a_subclass_does_not_carry_such_a_number_past() -> None:
    class Float(float):
        pass

    with pytest.raises(NotPlain):
        encode([Float("nan")])


def test_a_cycle_is_refused() -> None:
    circle: list = []
    circle.append(circle)
    with pytest.raises(NotPlain, match="nested more than 100 deep, or contains itself"):
        encode(circle)


def test_a_hundred_levels_are_accepted_and_one_more_is_not() -> None:
    def nested(depth: int) -> list:
        return [nested(depth - 1)] if depth else []

    assert json.loads(encode(nested(100))) == nested(100)
    with pytest.raises(NotPlain):
        encode(nested(101))


@pytest.mark.parametrize("make", [lambda inner: [inner], lambda inner: {"a": inner}], ids=["list", "dict"])
def test_the_levels_are_counted_for_a_text_as_for_a_list(make: Any) -> None:
    value: Any = "deep"
    for _ in range(100):
        value = make(value)

    assert value == json.loads(encode(value))
    with pytest.raises(NotPlain, match="nested more than 100 deep"):
        encode(make(value))


@pytest.mark.parametrize("key", [1, None, True, 1.5, (1, 2), b"a"])
def test_a_key_that_is_no_text_is_refused(key: str) -> None:
    with pytest.raises(NotPlain, match="JSON keys are text"):
        encode({key: 1})


@pytest.mark.parametrize(
    ("value", "kind", "hint"),
    [
        (datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), "datetime", "isoformat"),
        (datetime.date(2026, 1, 1), "date", "isoformat"),
        ({1}, "set", "sorted"),
        (frozenset({1}), "frozenset", "list"),
        (b"x", "bytes", "decode"),
        (decimal.Decimal(1), "Decimal", "str"),
        (uuid.UUID(int=1), "UUID", "str"),
        ((number for number in ()), "generator", "list"),
    ],
)
def test_what_json_does_not_have_is_refused_with_the_way_out(value: Any, kind: Any, hint: str) -> None:
    with pytest.raises(NotPlain, match=rf"result\['a'\] is a {kind}, which JSON does not have; convert.*{hint}"):
        encode({"a": value})


@pytest.mark.parametrize("value", [object(), print, int, 1j, range(3), Document, NotImplemented])
def test_anything_else_is_refused(value: Any) -> None:
    with pytest.raises(NotPlain, match="which JSON does not have"):
        encode([value])


def test_half_of_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(NotPlain):
        encode({"a": "\ud800"})
    with pytest.raises(NotPlain):
        encode({"\udfff": 1})


def test_an_integer_too_long_for_text_is_refused() -> None:
    with pytest.raises(NotPlain):
        encode(10**5000)


def test_an_integer_of_more_than_64_bits_is_kept() -> None:
    assert encode([2**64, -(2**70)]) == b"[18446744073709551616,-1180591620717411303424]"


@pytest.mark.parametrize("value", [10**400, -(10**4000)])
def test_what_a_hook_may_return_the_engine_accepts(value: Any) -> None:
    assert is_json(encode(value))


def test_subclasses_are_rebuilt_as_what_they_are_and_not_as_what_they_say() -> None:
    rebuilt = plain([Text("truth"), Number(7), Mapping(a=1), Colour.RED, (1, 2)], "result", 0)

    assert rebuilt == ["truth", 7, {"a": 1}, 3, [1, 2]]
    assert [type(item) for item in rebuilt] == [str, int, dict, int, list]


def test_keys_are_rebuilt_too() -> None:
    (key,) = plain({Text("truth"): 1}, "result", 0)

    assert ("truth", str) == (key, type(key))


def test_text_is_kept_readable_and_compact() -> None:
    assert encode({"name": "Zoë", "n": [1, None, True]}) == '{"name":"Zoë","n":[1,null,true]}'.encode()


def test_nothing_is_null() -> None:
    assert encode(None) == b"null"


USER = {"email": "a@b.c", "items": 7, "teams": [{"name": "x"}, {"name": "y"}], "profile": {"age": 3}, "nothing": None}
MATCHED = "match user:\n    case {'email': str(mail), 'profile': {'age': age}, **rest}:\n        cb(None, [mail, age, len(rest)])"
CLAUSES: dict[str, Any] = {
    "cb(None, [user['email'], user.email, user.get('email'), user.get('phone'), user.get('phone', 5)])": ["a@b.c", "a@b.c", "a@b.c", None, 5],
    "cb(None, ['email' in user, 'phone' in user, len(user), bool(user), bool(user.meta if 'meta' in user else {})])": [True, False, 5, True, False],
    "cb(None, [list(user), list(user.keys()), [key for key in user], sorted(user)[0]])": [list(USER)] * 3 + ["email"],
    "cb(None, [user == dict(user), dict(user) == user, user == {**user}, user != {}, user.profile == {'age': 3}])": [True] * 5,
    "import json\ncb(None, json.loads(json.dumps(user)) == user)": True,
    "import json\ncb(None, json.dumps(user.profile))": '{"age": 3}',
    "cb(None, [user.teams[0].name, user['teams'][1]['name'], [team.name for team in user.teams]])": ["x", "y", ["x", "y"]],
    "cb(None, [user['items'], len(user.items()), user.get('items')])": [7, 5, 7],
    "user.email = 1\nuser['items'] = 2\nuser.profile.age += 4\nuser['profile']['age'] += 1\nuser.new = {'a': 1}\ncb(None, [user.email, user['items'], user.profile.age, user.new['a']])": [1, 2, 8, 1],
    "del user.email\ndel user['items']\ncb(None, [user.pop('teams')[0].name, sorted(user)])": ["x", ["nothing", "profile"]],
    "both = user | {'x': {'y': 1}}\ncb(None, [both.x['y'], both.email, 'x' in user])": [1, "a@b.c", False],
    "both = {'email': 0, 'x': 1} | user\ncb(None, [both.x, both.email])": [1, "a@b.c"],
    "user |= {'x': 1}\ncb(None, [user.x, user.email])": [1, "a@b.c"],
    "user.update(x=1)\ncb(None, [user.x, user.setdefault('y', 2), user.y])": [1, 2, 2],
    "other = user.copy()\nother.email = 1\nother.profile.age = 4\ncb(None, [user.email, other.email, user.profile.age])": ["a@b.c", 1, 4],
    "import copy\nother = copy.copy(user)\nother.email = 1\nother.profile.age = 4\ncb(None, [user.email, other.email, user.profile.age])": ["a@b.c", 1, 4],
    "import copy\nother = copy.deepcopy(user)\nother.teams[0].name = 1\nother.profile.age = 4\ncb(None, [user.teams[0].name, other.teams[0].name, user.profile.age])": ["x", 1, 3],
    "cb(None, [{**user}['email'], dict(user, a=1)['a'], (lambda **given: given['email'])(**user)])": ["a@b.c", 1, "a@b.c"],
    MATCHED: ["a@b.c", 3, 3],
    "match user.teams:\n    case [{'name': first}, *_]:\n        cb(None, first)": "x",
    "cb(None, [isinstance(user, dict), type(user)(a=1).a, type(user).__name__, str(type(user))])": [True, 1, "dict", "<class 'dict'>"],
    "cb(None, [str(user.profile), f'{user.email:>7}', '{0.email}'.format(user), '%(email)s' % user])": ["{'age': 3}", "  a@b.c", "a@b.c", "a@b.c"],
    "cb(None, [getattr(user, 'phone', 5), hasattr(user, 'email'), hasattr(user, 'phone'), user.nothing])": [5, True, False, None],
    "cb(None, user)": USER,
    "try:\n    user.phone\nexcept AttributeError as error:\n    cb(None, str(error))": "there is no field 'phone' here; the fields are: email, items, teams, profile, nothing",
    "try:\n    user['phone']\nexcept KeyError as error:\n    cb(None, error.args[0])": "there is no field 'phone' here; the fields are: email, items, teams, profile, nothing",
}  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), CLAUSES.items(), ids=CLAUSES)
def test_an_argument_reads_as_a_hook_would_have_it(worker: Any, body: str, expected: Any) -> None:
    """In a real worker, under the policy and its guards."""
    source = "def hook(user, context, cb):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    done, _ = worker.run(source, arguments={"user": USER, "context": {}})

    assert "ok" == done.status, done.message
    assert expected == json.loads(done.result)


@pytest.mark.parametrize(
    "make",
    [
        lambda user: user | {"b": 2},
        lambda user: {"b": 2} | user,
        lambda user: user.__ior__({"b": 2}),
        lambda user: user.copy(),
        copy.copy,
        copy.deepcopy,
    ],
    ids=["or", "ror", "ior", "copy", "copy.copy", "copy.deepcopy"],
)
def test_what_is_made_of_a_document_is_one(make: Callable[[Document], Any]) -> None:
    made = make(parse(b'{"a": {"c": [{"d": 1}]}}'))

    assert [Document, Document, Document] == [type(made), type(made.a), type(made.a.c[0])]


@pytest.mark.parametrize("other", [5, None, [("a", 1)], "ab"])
def test_a_document_is_merged_with_dicts_alone(other: Any) -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        Document() | other
    with pytest.raises(TypeError, match="unsupported operand"):
        other | Document()


def test_of_many_fields_the_first_are_told() -> None:
    with pytest.raises(AttributeError, match=r"f0, f1, .*, f19, …$"):
        _ = Document({f"f{number}": number for number in range(1_000)}).missing
