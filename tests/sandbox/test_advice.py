"""What a check warns of, rule by rule: what it finds, and what it rather leaves alone."""

from __future__ import annotations

import ast
import json
import textwrap
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.advice import MOST_FINDINGS, advise
from sandbox.advice.fields import WEBTASK
from sandbox.compiler import check
from sandbox.wire import Advice, Diagnostic

PARAMETERS = ("user", "context", "cb")
FIELDS = (
    "user.id",
    "user.email",
    "user.username",
    "user.app_metadata.*",
    "context.requestLanguage",
    "context.connection.id",
    "context.connection.name",
)
pytestmark = pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")  # of a source's own


def warnings(source: str, *, secrets: tuple[str, ...] | None = None, fields: tuple[str, ...] = FIELDS) -> Any:
    """The warnings about a whole file."""
    source = textwrap.dedent(source)
    return advise(ast.parse(source), source, PARAMETERS, Advice(fields, secrets))


def within(body: str, **advice: Any) -> list[Diagnostic]:
    """The warnings about a hook with that body, which calls cb at its end."""
    return warnings(
        "def hook(user, context, cb):\n" + textwrap.indent(textwrap.dedent(body), "    ") + "\n    cb()\n", **advice
    )


def told(found: list[Diagnostic], rule: str) -> list[tuple[int, str]]:
    """(line, hint) of each finding; all are of that rule."""
    assert {rule} >= {finding.rule for finding in found}, found
    return [(finding.line, finding.hint) for finding in found]


def test_a_plain_hook_has_no_warnings() -> None:
    assert [] == within("print(user.email, context.connection.name, context.webtask.secrets.KEY)")
    assert [] == within("print(context.webtask.execution_id, context.webtask.attempt, context.webtask.response.user)")


# unused-cb


@pytest.mark.parametrize(
    ("source", "column"),
    [
        ("def hook(user, context, cb):\n    print(user.email)\n", 25),
        ("def hook(u, c, done):\n    return None\n", 16),
        ("def hook(u, c, done):\n    pass\n\ndef other(done):\n    done()\n", 16),
        ("module.exports = lambda user, context, cb: user.email\n", 40),
        ("def main(a, b, cb):\n    pass\n\nmodule.exports = main\n", 16),
        ("# nothing\nx = 1\n", 1),
        ("", 1),
    ],
)
def test_a_callback_that_is_never_used_is_told_at_its_parameter(source: str, column: int) -> None:
    """And nothing else: one fault, one finding."""
    (found,) = warnings(source)

    assert ("unused-cb", 1, column) == (found.rule, found.line, found.column)


@pytest.mark.parametrize(
    "source",
    [
        "def hook(user, context, cb):\n    raise Error('always')\n",
        "def hook(*everything):\n    everything[-1]()\n",
        "def hook(user, context, *rest):\n    pass\n",
        "def hook(user, context, done):\n    cb()\n",  # the global one is the same
        "def end():\n    cb()\n\ndef hook(user, context, done):\n    end()\n",
        "def end():\n    cb()\n\nlater = end\n\ndef hook(user, context, done):\n    later()\n",
        "ends = {}\nends['ok'] = cb\n\ndef hook(user, context, done):\n    ends['ok']()\n",
        "class Answer:\n    def send(self):\n        cb()\n\ndef hook(user, context, done):\n    Answer().send()\n",
        "cb()\n\ndef hook(user, context, done):\n    pass\n",
        "if user:\n    cb()\nelse:\n    cb(Error('no'))\n",
        "def wrapped(inner):\n    return inner\n\n@wrapped\ndef hook(user, context, cb):\n    pass\n",
        "def hook(user, context, cb):\n    pass\n\nhook = print\n",
        "if user:\n    def hook(user, context, cb):\n        pass\nelse:\n    hook = print\n",
        "def hook(user, cb):\n    pass\n",  # refused: the arity is the finding
        "module.exports = make()\ndef make():\n    pass\ndef hook(user, context, cb):\n    pass\n",
        "module.exports = lambda user, context, cb: cb(None, user.email)\n",
    ],
)
def test_a_callback_that_is_used_or_may_be_is_left_alone(source: str) -> None:
    assert [] == warnings(source)


# no-cb


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("if user.email:\n    return\ncb()", [3]),
        ("if user.email:\n    return 1\nelif user.id:\n    return 2\ncb()", [3, 5]),
        ("if user.email:\n    cb()", [2]),
        ("for n in user.ids:\n    cb()", [2]),
        ("for n in ():\n    cb()", [2]),
        ("while user.email:\n    cb()", [2]),
        ("while user.email:\n    cb()\n    break\nelse:\n    pass", [2]),
        ("while True:\n    if user.email:\n        break\n    cb()", [2]),
        ("try:\n    x = int(user.id)\n    cb(None, x)\nexcept ValueError:\n    print('no')", [2]),
        ("try:\n    cb(None, int(user.id))\nexcept ValueError:\n    pass", [2]),
        ("try:\n    x = int(user.id)\nexcept ValueError:\n    return\nelse:\n    cb(None, x)", [5]),
        ("try:\n    x = int(user.id)\nexcept ValueError:\n    cb()\nelse:\n    print(x)", [2]),
        ("try:\n    cb()\nfinally:\n    print('done')\nif user.id:\n    return", []),
        ("try:\n    print(user.id)\n    cb()\nfinally:\n    return", [6]),
        ("try:\n    print(user.id)\nexcept* ValueError:\n    return\ncb()", [5]),
        ("match user.id:\n    case 'a':\n        cb()\n    case 'b':\n        cb()", [2]),
        ("match user.id:\n    case 'a':\n        cb()\n    case _:\n        return", [6]),
        ("match user.id:\n    case 'a':\n        cb()\n    case other if other:\n        cb()", [2]),
        ("with open_it() as f:\n    if f:\n        return\n    cb()", [4]),
        ("if user.id:\n    cb()\nelse:\n    user.email = ''", [2]),
        ("from contextlib import suppress\nwith suppress(ValueError):\n    cb(None, int(user.id))", [3]),
        ("if user.id:\n    return\nif user.email:\n    return cb()\nprint('x')", [3, 6]),
    ],
)
def test_a_path_without_cb_is_told_where_it_ends(body: str, lines: list[int]) -> None:
    """At the return, or at the last statement when the hook falls off its end."""
    source = "def open_it(): ...\ndef hook(user, context, cb):\n" + textwrap.indent(body, "    ") + "\n"
    found = [finding for finding in warnings(source) if finding.rule != "unknown-field"]

    assert [line + 1 for line in lines] == [line for line, _ in told(found, "no-cb")]


@pytest.mark.parametrize(
    "body",
    [
        "return cb()",
        "if user.id:\n    return cb()\ncb(Error('no'))",
        "if user.id:\n    raise Error('no')\ncb()",
        "user.id and cb()",
        "for n in (1, 2):\n    return cb(None, n)",
        "while True:\n    if user.id:\n        return cb()",
        "while True:\n    print('for ever')",
        "while 0:\n    return\ncb()",
        "if True:\n    cb()",
        "if 0:\n    return\ncb()",
        "try:\n    x = int(user.id)\n    cb(None, x)\nexcept ValueError as e:\n    cb(e)",
        "try:\n    x = int(user.id)\nexcept ValueError:\n    raise\ncb()",
        "try:\n    x = int(user.id)\n    return\nfinally:\n    cb()",
        "try:\n    cb(Error('no'))\nexcept Exception:\n    pass",
        "try:\n    pass\nexcept Exception:\n    return\ncb()",
        "match user.id:\n    case 'a':\n        cb()\n    case _:\n        cb()",
        "match user.id:\n    case 'a' | other:\n        cb()",
        "match user.id:\n    case 'a' if cb():\n        pass",
        "with use(cb):\n    return",
        "def later():\n    cb()\nprint(later)",
        "later = lambda: cb()\nreturn",
        "print(map(cb, [1]))\nreturn",
        "send(user, cb)",
        "send(user, done=cb)",
        "for n in [cb]:\n    n()",
        "while cb():\n    pass",
        "async def inner():\n    pass\ncb()",
    ],
)
def test_a_path_that_calls_cb_raises_or_hands_it_on_is_left_alone(body: str) -> None:
    source = "def use(x): ...\ndef send(*a, **k): ...\ndef hook(user, context, cb):\n" + textwrap.indent(body, "    ")

    assert [] == [finding for finding in warnings(source) if finding.rule not in ("endless-loop", "unknown-field")]


# endless-loop


@pytest.mark.parametrize(
    "loop",
    [
        "while True:\n    pass",
        "while 1:\n    print('x')",
        "while 'always':\n    continue",
        "while True:\n    for n in (1, 2):\n        break",
        "while True:\n    while user.id:\n        break",
        "while True:\n    def inner():\n        return 1",
        "while True:\n    inner = lambda: (yield)",
        "while True:\n    try:\n        print('x')\n    except Exception:\n        continue",
        "try:\n    pass\nexcept Exception:\n    while True:\n        pass",
    ],
)
def test_a_loop_without_a_way_out_is_told(loop: str) -> None:
    assert ["leave it by break, return or raise; the hook is ended when its time is up"] == [
        hint for _, hint in told(within(f"cb()\n{loop}"), "endless-loop")
    ]


@pytest.mark.parametrize(
    "loop",
    [
        "while True:\n    break",
        "while True:\n    if user.id:\n        return cb()",
        "while True:\n    raise Error('out')",
        "while True:\n    assert user.id",
        "while True:\n    yield 1",
        "while True:\n    x = yield from ()",
        "while True:\n    for n in (1, 2):\n        pass\n    else:\n        break",
        "while True:\n    for n in (1, 2):\n        return",
        "while True:\n    try:\n        print('x')\n    finally:\n        break",
        "while True:\n    match user.id:\n        case 'a':\n            break",
        "while user.id:\n    pass",
        "while 0:\n    pass",
        "try:\n    while True:\n        next(iter(()))\nexcept StopIteration:\n    pass",
    ],
)
def test_a_loop_that_may_end_is_left_alone(loop: str) -> None:
    assert [] == within(f"cb()\n{loop}")


# secret-literal

LETTERS = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0"
TOKENS = [
    f"sk_live_{LETTERS}",
    f"SG.{LETTERS[:22]}.{LETTERS}{LETTERS[:13]}",
    f"xoxb-293847561029-{LETTERS}",
    f"https://hooks.slack.com/services/T0{LETTERS[:8].upper()}/B0{LETTERS[:8].upper()}/{LETTERS[:24]}",
    "AKIAQ3EGRP7SX2VNZ4TB",
    f"ghp_{LETTERS}{LETTERS[:6]}",
    f"github_pat_{LETTERS}_{LETTERS}",
    "-----BEGIN PRIVATE KEY-----\nMIIE\n",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n",
    f"eyJ{LETTERS}.eyJ{LETTERS}.{LETTERS}",
    f"Bearer {LETTERS}",
    f"Basic {LETTERS}==",
]


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize(
    "place", ["print({!r})", "x = {{'a': [{!r}]}}", "print(b{!r})", "x = f{!r}", "x = 'and ' + {!r}"]
)
def test_a_token_of_a_known_shape_is_told_anywhere_and_not_repeated(token: str, place: str) -> None:
    (found,) = within(place.format(token))

    assert ("secret-literal", 2) == (found.rule, found.line)
    assert "context.webtask.secrets.NAME" in found.hint
    assert not any(token[start : start + 9] in found.message + found.hint for start in range(len(token) - 9))


@pytest.mark.parametrize(
    "line",
    [
        "password = 'hunter2-hunter2'",
        "API_KEY = 'a8f5f167f44f4964e6c998dee827110c'",
        "api_key: str = 'a8f5f167f44f4964'",
        "print(apiKey := 'a8f5f167f44f4964')",
        "user.client_secret = 'a8f5f167f44f4964'",
        "x = {}; x['access_token'] = 'a8f5f167f44f4964'",
        "x = {'Authorization': 'a8f5f167f44f4964'}",
        "print(token='a8f5f167f44f4964')",
        "def f(a, secret='a8f5f167f44f4964'): ...",
        "SIGNING_KEY = b'a8f5f167f44f4964'",
    ],
)
def test_a_long_literal_whose_name_says_secret_is_told(line: str) -> None:
    (found,) = within(line)

    assert "secret-literal" == found.rule
    assert "a8f5" not in found.message + found.hint
    assert "hunter" not in found.message + found.hint


@pytest.mark.parametrize(
    "line",
    [
        "x = 'sk_live_xxxxxxxxxxxxxxxxxxxxxxxx'",
        "x = 'AKIAIOSFODNN7EXAMPLE'",
        "x = 'Bearer <token>'",
        "x = 'Bearer ' + context.webtask.secrets.TOKEN",
        "x = f'Bearer {context.webtask.secrets.TOKEN}'",
        "x = 'Bearer {token_of_this_service}'",
        "x = 'Basic authentication is what this needs'",
        "x = 'sk_test_is_no_secret_at_all_1'",
        "password = 'changeme-changeme1'",
        "password = 'short1'",
        "password = 'your-password-1'",
        "password = 'two words and 1 number'",
        "password_field = 'new_password_confirmation'",
        "TOKEN_URL = 'https://example.org/oauth2/token'",
        "TOKEN_PATH = '/oauth2/v1/token'",
        "token = '${TOKEN_NUMBER_1}'",
        "token = 'secrets.TOKEN_NUMBER_1'",
        "token = user.id",
        "colour = 'a8f5f167f44f4964e6c998dee827110c'",
        "token = {'https://example.org/claim1': 'bar'}",
        "secret = 1234567890123",
    ],
)
def test_a_placeholder_or_another_text_is_left_alone(line: str) -> None:
    assert [] == within(line)


@pytest.mark.parametrize(
    "begin", ["eyJ", "eyJ-", "Bearer ", "SG.", "xoxb-", "-----BEGIN ", "hooks.slack.com/services/a/"]
)
def test_a_text_made_to_be_slow_is_read_quickly(begin: str) -> None:
    begun = time.perf_counter()
    within(f"x = {begin * (100_000 // len(begin))!r}")

    assert 5 > time.perf_counter() - begun


# unknown-secret


@pytest.mark.parametrize(
    ("read", "hint"),
    [
        ("context.webtask.secrets.MAIL_FORM", "did you mean 'MAIL_FROM'?"),
        ("context.webtask.secrets['MAIL_FORM']", "did you mean 'MAIL_FROM'?"),
        ("context['webtask'].secrets.get('MAIL_FORM')", "did you mean 'MAIL_FROM'?"),
        ("context.webtask.secrets.get('MAIL_FORM', 'a')", "did you mean 'MAIL_FROM'?"),
        ("context.webtask.secrets.OTHER", "its secrets are: API_KEY, MAIL_FROM"),
        ("context.webtask.secrets.get('OTHER')", "its secrets are: API_KEY, MAIL_FROM"),
    ],
)
def test_a_secret_the_hook_does_not_have_is_told(read: str, hint: str) -> None:
    secrets = ("API_KEY", "MAIL_FROM")

    assert [(2, hint)] == told(within(f"print({read})", secrets=secrets), "unknown-secret")
    assert [] == within(f"print({read})", secrets=None)


@pytest.mark.parametrize(
    "read",
    ["secrets.API_KEY", "secrets.get('OTHER', 'by default')", "secrets.items()", "secrets[user.id]", "data.OTHER"],
)
def test_a_secret_it_has_or_need_not_have_is_left_alone(read: str) -> None:
    assert [] == within(f"print(context.webtask.{read})", secrets=("API_KEY",))


def test_a_hook_without_secrets_is_told_so() -> None:
    found = within("mine = context.webtask.secrets\nprint(mine.KEY)", secrets=())

    assert [(3, "it has no secrets at all")] == told(found, "unknown-secret")


# unknown-field


@pytest.mark.parametrize(
    ("read", "hint"),
    [
        ("user.emial", "did you mean 'email'?"),
        ("user['emial']", "did you mean 'email'?"),
        ("user.get('emial')", "did you mean 'email'?"),
        ("user.get('emial', None)", "did you mean 'email'?"),
        ("user.emial.lower()", "did you mean 'email'?"),
        ("[user.emial]", "did you mean 'email'?"),
        ("f'{user.emial}'", "did you mean 'email'?"),
        ("user.nothing_like_it", "the fields here are: id, email, username, app_metadata"),
        ("user['items']", "the fields here are: id, email, username, app_metadata"),
        ("context.conection.name", "did you mean 'connection'?"),
        ("context.connection['nmae']", "did you mean 'name'?"),
        ("context.webtask.secret", "did you mean 'secrets'?"),
        ("context.get('connection').nmae", "did you mean 'name'?"),
        ("user.app_metadata[user.emial]", "did you mean 'email'?"),
        ("(lambda: user.emial)()", "did you mean 'email'?"),
    ],
)
def test_a_field_the_point_does_not_pass_is_told(read: str, hint: str) -> None:
    assert [(2, hint)] == told(within(f"print({read})"), "unknown-field")


@pytest.mark.parametrize(
    "body",
    [
        "print(user.email, user['email'], user.get('email'))",
        "print(user.get('nickname'), user.get('logins', 0))",
        "print(user.items(), user.keys(), user.copy())",
        "print(user.app_metadata.plan, user.app_metadata['a']['b'])",
        "print(user.email.emial, user.id[0])",
        "print(context.webtask.id, context.webtask.headers['x'], context.webtask.query.a)",
        "user.nickname = 'x'\nprint(user.nickname)",
        "user['nickname'] = 'x'\nprint(user.nickname)",
        "user.setdefault('nickname', 'x')\nprint(user.nickname)",
        "user.update(nickname='x')\nprint(user.nickname)",
        "user.update({'nickname': 'x'})\nprint(user.nickname)",
        "user.update(other())\nprint(user.nickname)",
        "user[user.id] = 'x'\nprint(user.nickname)",
        "setattr(user, 'nickname', 'x')\nprint(user.nickname)",
        "if 'nickname' in user:\n    print(user.nickname)",
        "if hasattr(user, 'nickname'):\n    print(user.nickname)",
        "if user.get('nickname'):\n    print(user.nickname)",
        "match user:\n    case {'nickname': name}:\n        print(user.nickname)",
        "user = other()\nprint(user.nickname)",
        "for user in other():\n    print(user.nickname)",
        "print([user.nickname for user in other()])",
        "print((lambda user: user.nickname)(1))",
        "def inner(user):\n    return user.nickname\nprint(inner)",
        "print(name.emial for name in other())",
    ],
)
def test_a_field_that_is_there_or_may_be_is_left_alone(body: str) -> None:
    source = "def other(): ...\ndef hook(user, context, cb):\n" + textwrap.indent(body, "    ") + "\n    cb()\n"

    assert [] == warnings(source)


def test_arguments_are_known_by_their_place_not_by_their_name() -> None:
    source = "def hook(context, user, cb):\n    print(context.emial, user.conection, user.connection.name)\n    cb()\n"

    assert [(1, "did you mean 'email'?"), (1, "did you mean 'connection'?")] == [
        (line - 1, hint) for line, hint in told(warnings(source), "unknown-field")
    ]


def test_a_part_of_an_argument_is_known_by_its_other_name() -> None:
    found = within("connection = context.connection\nmine = connection\nprint(mine.nmae, connection.name)")

    assert [(4, "did you mean 'name'?")] == told(found, "unknown-field")


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("print(user.emial)\ncb()\n", [1]),
        ("def show():\n    print(user.emial)\nshow()\ncb()\n", [2]),
        ("def show(user):\n    print(user.emial)\nshow(user)\ncb()\n", []),
        ("user = {}\nprint(user.emial)\ncb()\n", []),
        ("def renew():\n    global user\n    user = {}\nprint(user.emial)\ncb()\n", []),
        ("def local():\n    user = {}\nlocal()\nprint(user.emial)\ncb()\n", [4]),
    ],
)
def test_in_a_script_the_arguments_are_globals(source: str, lines: list[int]) -> None:
    assert lines == [line for line, _ in told(warnings(source), "unknown-field")]


def test_what_a_point_does_not_describe_may_hold_anything() -> None:
    source = "def hook(user, context, cb):\n    cb(None, [user.x, context.y.z, context.webtask.secrets])\n"

    assert [] == warnings(source, fields=("user.*", "context.*"))
    assert [] == warnings("def hook(user, context, cb):\n    cb(None, user.x)\n", fields=())


def test_the_webtask_that_is_known_is_the_one_that_hooks_get(run_here: Any) -> None:
    done, _ = run_here("def hook(user, context, cb):\n    cb(None, list(context.webtask))\n")

    assert set(WEBTASK) == set(json.loads(done.result))


# undefined-name


@pytest.mark.parametrize(
    ("line", "name", "hint"),
    [
        ("print(usr)", "usr", "did you mean 'user'?"),
        ("prnit(user)", "prnit", "did you mean 'print'?"),
        ("print(json.dumps(1))", "json", "write import json"),
        ("print(JSON)", "JSON", "write import json"),
        ("print(null)", "null", "write None"),
        ("x = undefined", "undefined", "write None"),
        ("raise Eror('x')", "Eror", "did you mean 'Error'?"),
        ("print(qwertyuiop)", "qwertyuiop", ""),
        ("exports.x = 1", "exports", "write module.exports"),
        ("x: Whatever = 1", "Whatever", ""),
        ("print([y for x in 'a'])", "y", ""),
    ],
)
def test_a_name_that_nothing_defines_is_told(line: str, name: str, hint: str) -> None:
    (found,) = within(line)

    assert ("undefined-name", 2, hint) == (found.rule, found.line, found.hint)
    assert repr(name) in found.message


@pytest.mark.parametrize(
    "body",
    [
        "import json\nprint(json)",
        "import urllib.parse\nprint(urllib)",
        "from json import dumps as d\nprint(d)",
        "for n in (1, 2):\n    print(n)",
        "print([a for a in 'x'], {b: c for b, c in ()}, (d for d in ()))",
        "try:\n    pass\nexcept Exception as e:\n    print(e)",
        "with print() as f:\n    print(f)",
        "match user:\n    case [a, *b]:\n        print(a, b)\n    case {'k': c, **d}:\n        print(c, d)\n    case str() as e:\n        print(e)",
        "print(x := 1, x)",
        "def f(a, /, b, *c, d, **e):\n    return a, b, c, d, e\nprint(f)",
        "print(lambda a: a)",
        "class A:\n    b = 1\n    c = b\nprint(A, __name__, __doc__)",
        "def f():\n    global later\n    later = 1\nprint(f, later)",
        "print(console, require, module, Error, PreUserRegistrationError, context)",
        "print(sorted, zip, super, vars, hash, ExceptionGroup, NotImplemented, __debug__)",
        "print(open, eval, globals)",  # the policy says why not
        "a, (b, *c) = 1, (2,)\nprint(a, b, c)",
        "print(defined_below)",
    ],
)
def test_a_name_that_something_defines_is_left_alone(body: str) -> None:
    source = "def hook(user, context, cb):\n" + textwrap.indent(body, "    ") + "\n    cb()\n\ndefined_below = 1\n"

    assert [] == warnings(source)


def test_a_name_is_told_once_where_it_is_first_read() -> None:
    found = within("def inner():\n    return usr\nprint(usr, usr, inner)")

    assert [(3, "did you mean 'user'?")] == told(found, "undefined-name")


def test_a_star_import_may_bring_any_name() -> None:
    """It is refused; more findings would say nothing."""
    assert [] == within("from json import *\nprint(dumps)")


# All together


def test_warnings_come_in_the_order_of_the_source_and_are_bounded() -> None:
    found = within("\n".join(f"print(user.x{n}, unknown{n}, 'Bearer {LETTERS}')" for n in range(90)))

    assert MOST_FINDINGS == len(found)
    assert sorted(found, key=lambda finding: (finding.line, finding.column)) == found


def test_columns_count_characters() -> None:
    (found,) = within("x = 'čřž'; print(user.emial)")

    assert (2, 22, 32) == (found.line, found.column, found.end)


def test_nobody_is_warned_who_does_not_ask() -> None:
    source = "def hook(user, context, cb):\n    print(user.emial)\n"

    assert () == check(source, PARAMETERS).warnings
    assert 2 == len(check(source, PARAMETERS, (), Advice(FIELDS)).warnings)


def test_warnings_neither_refuse_nor_change_the_code() -> None:
    source = "def hook(user, context, cb):\n    print(user.emial)\n"

    assert check(source, PARAMETERS).code == check(source, PARAMETERS, (), Advice(FIELDS)).code


WORDS = (
    "def hook user context cb ( ) : \n \t x . y = + [ ] { } ' f while True for in if else try except finally return raise "
    "break continue match case _ with as lambda yield global import json , * ** := webtask secrets get emial password "
    "'Bearer_abcdefghijkl1' require é \f 1"
)


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(WORDS.split(" ")), max_size=25).map(" ".join)
    | st.lists(st.sampled_from(WORDS.split(" ")), max_size=12).map(
        lambda words: "def hook(user, context, cb):\n " + " ".join(words)
    )
)
def test_any_source_is_advised_on_without_a_fault_and_within_its_lines(source: str) -> None:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    lines = source.encode().splitlines() or [b""]
    for finding in advise(tree, source, PARAMETERS, Advice(FIELDS, ("KEY",))):
        assert 1 <= finding.line <= len(lines)
        assert 1 <= finding.column < finding.end <= len(lines[finding.line - 1].decode()) + 2


@pytest.mark.parametrize(
    "source",
    [
        "x = " + "(" * 150 + ")" * 150,
        "x = user" + ".a" * 2_000,
        "x = " + "-" * 2_000 + "1",
        "lambda: " * 80 + "user.emial",
        "if user: pass\n" + "elif user: pass\n" * 400,
        "x = " + " + ".join(["1"] * 3_000),
        "\n".join(f"x{n} = y{n}" for n in range(5_000)),
        "\n".join(f"def f{n}(): return f{n + 1}()" for n in range(3_000)),
        "while True:\n pass\n" * 3_000,
    ],
    ids=["parentheses", "attributes", "minus", "lambdas", "elifs", "sum", "names", "functions", "loops"],
)
def test_a_large_or_deep_source_is_checked_in_time(source: str) -> None:
    begun = time.perf_counter()
    checked = check(source, PARAMETERS, (), Advice(FIELDS, ("KEY",)))

    assert (checked.code is None) == bool(checked.diagnostics)
    assert 20 > time.perf_counter() - begun
