"""`requests` in hostile hands: nothing of the library's, of the engine's or of another job's is reached or left behind.

The hooks run in place, so that what they got hold of can be looked at: all that is put into `loot`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from test_graph import Met, World, live, unlisted

from sandbox import compiler, guards, hook, require, wire
from sandbox.modules import courier, library
from sandbox.modules.cookies import Cookies
from sandbox.modules.facade import Facade

PARAMETERS = ("user", "context", "cb")
ANSWER = wire.Answered(
    302,
    "Found",
    (("Location", "/b"), ("Set-Cookie", "a=1; Path=/"), ("Link", "<https://a.example/2>; rel=next"), ("X-A", "1")),
    b'{"a": [1]}',
)
BEFORE = "import collections, copy, dataclasses, functools, requests\nloot = []\n"


class Engine:
    """The other end of a job's channel: `/a` leads to `/b`, `/refused` and `/slow` nowhere."""

    owed = False

    def __init__(self) -> None:
        self.calls: list[wire.Http] = []

    def send(self, frame: wire.Frame) -> None:
        """Nobody reads the log."""

    def exchange(self, call: wire.Http) -> wire.Answer:
        wire.parse(wire.pack(call)[wire.PREFIX_BYTES :], wire.replies)
        self.calls.append(call)
        match self.calls[-1].url.rpartition("/")[2]:
            case "a":
                return ANSWER
            case "refused":
                return wire.Failed("refused", "port", "no")
            case "slow":
                return wire.Failed("read_timeout", "", "too slow")
            case "bad":
                return wire.Answered(500, "Bad", (), b"{nope")
            case "circle":
                return wire.Answered(302, "", (("Location", "/circle"),), b"")
        return wire.Answered(200, "OK", (("Set-Cookie", "b=2"),), b'{"b": 2}')


def job_of(source: str) -> wire.Run:
    """A job of a hook that the policy lets pass."""
    checked = compiler.check(source, PARAMETERS)
    assert checked.code is not None, checked.diagnostics
    return wire.Run(checked.code, PARAMETERS, b'{"user": {"name": "Ann"}}', {}, "e1", 1, wire.Limits())


@pytest.fixture(scope="module", autouse=True)
def facades() -> None:
    """The shared facades, as a zygote builds them."""
    require.load_facades()


def run(body: str) -> tuple[wire.Done, Engine]:
    """How a job of that code ended, and what it called."""
    engine: Any = Engine()
    return hook.run(job_of(BEFORE + body + "\ndef hook(user, context, cb):\n    cb(None, [])\n"), engine), engine


def looted(body: str) -> list[Any]:
    """What that code put into `loot`, after it ran to its end or to an error."""
    engine: Any = Engine()
    own = guards.Guards({})
    done = hook._run(job_of(f"{BEFORE}{body}\ndef hook(user, context, cb):\n    cb(None, [])\n"), engine, own)
    loot = own.namespace["loot"]
    assert done.status in ("ok", "raised"), done
    return [*loot, *([] if done.status == "ok" else [done.message])]


# What a call gives leads to nothing else

GIVEN = {
    "a response": "loot.append(requests.get('http://a.example/a'))",
    "a session": "s = requests.Session()\ns.post('http://a.example/a', json={})\nloot.append(s)",
    "cookies": "loot += [*requests.get('http://a.example/b').cookies, requests.get('http://a.example/b').cookies]",
    "what it tells": (
        "r = requests.get('http://a.example/a')\nloot += [r.links, r.history[0].json(), r.iter_lines(), r.iter_content(), iter(r)]\n"
        "loot += [r.request, r.history[0].request.headers, r.headers, r.elapsed, requests.codes, type(r), type(r.cookies)]"
    ),
    "auth": "loot.append(requests.auth.HTTPBasicAuth('u', 'p'))",
    "errors": (
        "def attempt(call, *given, **named):\n"
        "    try:\n        call(*given, **named)\n        loot.append('no error')\n"
        "    except Exception as error:\n        loot.append(error)\n"
        "get = requests.get\n"
        "for url in ['x', 'http://', 'http://[::1/', 'http://*.x/', 'http://' + 'ü' * 70 + '/', 'ftp://x/refused', 'http://x/refused',"
        " 'http://x/slow', 'http://x/circle', 'http://\\udc80/']:\n    attempt(get, url)\n"
        "attempt(get('http://x/bad').raise_for_status)\nattempt(get('http://x/bad').json)\n"
        "attempt(get, 'http://x/b', headers={'a': 1})\nattempt(requests.post, 'http://x/b', json=float('nan'))\n"
        "attempt(requests.post, 'http://x/b', json=loot)\nattempt(get, 'http://x/b', timeout=0)\n"
        "attempt(get, 'http://x/b', auth=('\\u20ac', ''))\nattempt(get('http://x/b').iter_content, 'x')"
    ),
}
PLAIN_THINGS = ("builtins.generator", "builtins.list_iterator")  # that the map does not offer by itself


def is_plain(told: str) -> bool:
    """Whether it is a builtin error, or what an iteration gives."""
    return told.endswith(PLAIN_THINGS) or (": builtins." in told and told.endswith("Error"))


@pytest.mark.parametrize("code", GIVEN.values(), ids=GIVEN)
def test_what_a_call_gives_leads_to_nothing_of_the_librarys(code: str) -> None:
    loot = looted(code)
    world = World()
    world.walk([Met(f"loot[{place}]", each) for place, each in enumerate(loot)])

    assert "no error" not in loot
    assert len(world.met) > 20
    assert [] == [f"{met.path}: {found}" for met in world.met.values() if (found := live(met))]
    assert [] == [each for each in unlisted(world) if not is_plain(each)]


def test_the_walk_goes_red_over_a_response_of_the_librarys() -> None:
    world = World()
    response = library.models.Response()
    response.connection = courier.Courier(lambda _: ANSWER)
    world.walk([Met("planted", Facade("planted", {"thing": response}))])

    assert "planted.thing: requests.models.Response" in unlisted(world)
    assert any("Courier" in each for each in unlisted(world))


# Names

NAMES = """
    requests.get._live requests.sessions requests.adapters requests.utils requests.packages requests.models requests.api
    requests.exceptions.sys requests.structures.OrderedDict requests.auth.os requests.Session._live requests.codes._codes
    s._live s._cookies s.cookies._jar s.cookies._policy s.adapters s.send s.prepare_request s.rebuild_auth s.hooks
    s.headers._store r._live r._content r.raw r.connection r.next r.cookies._jar r.history[0]._live r.request._cookies
    r.request.hooks r.headers._store r.request.copy
    requests.HTTPAdapter requests.Request requests.auth.AuthBase requests._without requests.auth._without requests._title
    s.__live__ s.__cookies__ r.__live__ r.cookies.__jar__ requests.Session.__live__ requests.Session.__cookies__
    requests.Response.__live__ s.__dict__ r.__dict__ requests.__dict__
""".split()


@pytest.mark.parametrize("path", NAMES)
def test_a_name_of_the_librarys_inside_is_not_there(path: str) -> None:
    owner, _, name = path.rpartition(".")
    loot = looted(
        f"s = requests.Session()\nr = s.get('http://a.example/a')\n"
        f"try:\n    loot.append(getattr({owner}, {name!r}))\nexcept (AttributeError, ValueError):\n    pass"
    )

    assert [] == loot


# Objects of the hook's, in every place

LISTENER = """
def listening(base):
    class Listener(base):
        pass
    for name in NAMES:
        def method(self, *given, name=name, **named):
            loot.extend([*given, *named.values()])
            return getattr(super(Listener, self), name)(*given, **named)
        setattr(Listener, name, method)
    return Listener
"""
TEXT = "lower upper lstrip strip split rsplit partition rpartition startswith endswith encode replace join translate find isascii"
LISTENED = {
    "a text": ("S = listening(str)", TEXT),
    "bytes": (
        "S = lambda text: B(text.encode())\nB = listening(bytes)",
        "decode lower split startswith replace translate find join",
    ),
}
PLACES = {
    "the url": "requests.get(S('http://a.example/a'))",
    "the method": "requests.request(S('get'), 'http://a.example/a')",
    "params": "requests.get('http://a.example/a', params={S('a'): S('b'), S('c'): [S('d')]})\nrequests.get('http://a.example/a', params=S('a=b'))",
    "headers": "requests.get('http://a.example/a', headers={S('X-A'): S('b')})",
    "cookies": "requests.get('http://a.example/a', cookies={S('a'): S('b')})",
    "data": "requests.post('http://a.example/a', data={S('a'): S('b')})\nrequests.post('http://a.example/a', data=S('x'))",
    "files": "requests.post('http://a.example/a', files={S('a'): (S('b'), S('c'), S('text/plain'), {S('d'): S('e')})})",
    "auth": "requests.get('http://a.example/a', auth=(S('u'), S('p')))\nrequests.get('http://a.example/a', auth=requests.auth.HTTPBasicAuth(S('u'), S('p')))",
    "a session's": (
        "s = requests.Session()\ns.headers = {S('X-A'): S('b')}\ns.params = {S('a'): S('b')}\ns.auth = (S('u'), S('p'))\n"
        "s.cookies.set(S('a'), S('b'), domain=S('a.example'), path=S('/'))\ns.cookies = {S('c'): S('d')}\ns.get('http://a.example/a')"
    ),
    "an encoding": "r = requests.get('http://a.example/b')\nr.encoding = S('utf-8')\nr.text",
}


@pytest.mark.parametrize("kind", LISTENED)
def test_a_listener_hears_what_its_methods_are_given(kind: str) -> None:
    make, names = LISTENED[kind]

    assert [b"h" if kind == "bytes" else "h"] == looted(
        f"NAMES = {names.split()!r}\n{LISTENER}\n{make}\nS('heard').startswith({'b' if kind == 'bytes' else ''}'h')"
    )


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", LISTENED)
def test_a_text_that_listens_hears_nothing_of_the_library(kind: str, place: str) -> None:
    """And it stays in nothing that outlives the job."""
    make, names = LISTENED[kind]
    code = f"NAMES = {names.split()!r}\n{LISTENER}\n{make}\n{PLACES[place]}"
    loot = looted(code)
    done, _ = run(code)

    assert all(type(each) in (str, bytes, int, type(None)) for each in loot), loot
    assert done.spent is False


OBJECTS = {
    "a mapping": (
        "class M(collections.UserDict):\n    def __iter__(self):\n        loot.append('iter')\n        return iter(self.data)\n"
        "m = M(a='b')\nrequests.post('http://a.example/a', headers=m, params=m, data=m, cookies=m)\n"
    ),
    "an object with items": (
        "class M:\n    def items(self):\n        loot.append('items')\n        yield 'a', 'b'\n"
        "requests.get('http://a.example/a', headers=M(), params=M())"
    ),
    "a file": (
        "class F:\n    name = '/x/y.txt'\n    left = [b'one', 'two']\n    def __getattr__(self, name):\n        loot.append(name)\n        raise AttributeError(name)\n"
        "    def read(self, *given):\n        loot.extend(given)\n        return self.left.pop() if self.left else b''\n"
        "requests.post('http://a.example/a', data=F())\nrequests.post('http://a.example/a', files={'f': F()})"
    ),
    "a generator that looks around": (
        "def parts():\n    loot.append((yield b'a'))\n    loot.append((yield b'b'))\nrequests.post('http://a.example/a', data=parts())"
    ),
    "numbers": (
        "class N:\n    def __float__(self):\n        loot.append('float')\n        return 1.0\n    def __str__(self):\n        return 'n'\n"
        "class I(int):\n    def __lt__(self, other):\n        loot.append(other)\n        return False\n    __le__ = __gt__ = __ge__ = __lt__\n"
        "s = requests.Session()\ns.max_redirects = I(3)\nr = s.get('http://a.example/a', timeout=(N(), N()), params={'a': N()})\n"
        "loot += [chunk for chunk in r.iter_content(I(2))]"
    ),
    "json that answers": (
        "class D(dict):\n    def items(self):\n        loot.append('items')\n        return [('a', 1)]\n"
        "r = requests.post('http://a.example/a', json=D(x=1))\nr.json(object_hook=loot.append, parse_int=loot.append)"
    ),
    "equality": (
        "class E:\n    def __eq__(self, other):\n        loot.append(other)\n        return True\n    def __hash__(self):\n        return 1\n"
        "r = requests.get('http://a.example/b')\nE() in r.cookies\nr.headers == E()\nrequests.codes == E()\nrequests.codes.get(E())"
    ),
}


@pytest.mark.parametrize("code", OBJECTS.values(), ids=OBJECTS)
def test_an_object_of_the_hooks_hears_nothing_of_the_library(code: str) -> None:
    loot = looted(code)
    world = World()
    world.walk([Met(f"loot[{place}]", each) for place, each in enumerate(loot)])
    done, _ = run(code)

    assert [] == [f"{met.path}: {found}" for met in world.met.values() if (found := live(met))]
    assert [] == [each for each in unlisted(world) if ": hook." not in each]
    assert "sandbox" not in str(loot)
    assert done.spent is False


@pytest.mark.parametrize(
    "argument",
    [
        "auth=thief",
        "hooks={'response': thief}",
        "headers=thief",
        "params=thief",
        "data=thief",
        "cookies=thief",
        "files=thief",
    ],
)
def test_a_callable_is_never_called_with_anything(argument: str) -> None:
    loot = looted(
        f"def thief(*given, **named):\n    loot.append([given, named])\nrequests.post('http://a.example/a', {argument})"
    )

    assert 1 == len(loot)
    assert loot[0].startswith(("ValueError: ", "TypeError: "))


# Slots

SLOTS = {
    "a __setattr__ of its own": (
        "class T(requests.Session):\n    def __setattr__(self, name, value):\n        loot.append(value)\n        super().__setattr__(name, value)\n"
        "t = T()\nt.get('http://a.example/a')\nt.cookies = {}"
    ),
    "an __init__ on another object": "class T:\n    pass\nt = T()\nrequests.Session.__init__(t)\nloot += [vars(t)]",
    "a __new__ of another class": "class T:\n    pass\nloot.append(requests.Session.__new__(T))",
    "a property's setter": "class T:\n    pass\nt = T()\nrequests.Session.cookies.fset(t, {})\nloot += [vars(t)]",
    "a method on another object": "class T:\n    _live = 5\n    auth = headers = params = None\n    max_redirects = 1\nrequests.Session.request(T(), 'GET', 'http://a.example/a')",
    "its own _live": (
        "class L:\n    def __setattr__(self, name, value):\n        loot.append(value)\n    def request(self, *given, **named):\n        loot.append(given)\n"
        "class T(requests.Session):\n    def swap(self):\n        self._live = L()\nt = T()\nt.swap()\nt.get('http://a.example/a')"
    ),
    "its own _cookies": (
        "class J:\n    _jar = 5\nclass T(requests.Session):\n    def swap(self):\n        self._cookies = J()\n"
        "t = T()\nt.swap()\nt.get('http://a.example/a')"
    ),
    "a class attribute _live": "class T(requests.Session):\n    _live = None\n    def look(self):\n        return super()._live\nloot.append(T().look())",
    "a private name of its base": "class T(requests.Session):\n    def look(self):\n        return self._live\nloot.append(T().look())",
    "a copy of a session": "loot.append(copy.copy(requests.Session()))",
    "a copy of a derived session": "class T(requests.Session):\n    pass\nloot.append(copy.copy(T()))",
    "a deep copy of a response": "loot.append(copy.deepcopy(requests.get('http://a.example/a')))",
    "a copy of cookies": "loot.append(copy.copy(requests.get('http://a.example/a').cookies))",
    "a response of its own class": "class T(requests.Response):\n    pass",
    "auth of its own class": "class T(requests.auth.HTTPBasicAuth):\n    pass",
    "the vars of a session": "loot.append(vars(requests.Session()))",
    "the vars of a derived session": "class T(requests.Session):\n    pass\nloot.append(vars(T()))",
}


FIELDS = {  # what a dataclass generates reads and writes by plain attributes
    "a pattern": (
        "@dataclasses.dataclass(init=False)\nclass T(requests.Session):\n    NAME: object\nmatch T():\n    case T(x):\n        loot.append(x)"
    ),
    "repr": (
        "class Spy:\n    def __repr__(self):\n        return 'spy'\n"
        "@dataclasses.dataclass\nclass T(requests.Session):\n    NAME: object = dataclasses.field(init=False)\nloot.append(repr(T()))"
    ),
    "asdict": (
        "@dataclasses.dataclass\nclass T(requests.Session):\n    NAME: object = dataclasses.field(init=False)\n"
        "loot.append(dataclasses.asdict(T())['NAME'])"
    ),
    "astuple": (
        "@dataclasses.dataclass\nclass T(requests.Session):\n    NAME: object = dataclasses.field(init=False)\n"
        "loot += dataclasses.astuple(T())"
    ),
    "an __eq__": (
        "class Spy:\n    def __eq__(self, other):\n        loot.append(other)\n        return True\n"
        "@dataclasses.dataclass\nclass T(requests.Session):\n    NAME: object = dataclasses.field(init=False)\n"
        "a, b = T(), T()\nb.NAME = Spy()\na == b"
    ),
    "an __lt__": (
        "class Spy:\n    def __gt__(self, other):\n        loot.append(other)\n        return True\n"
        "@dataclasses.dataclass(order=True)\nclass T(requests.Session):\n    NAME: object = dataclasses.field(init=False)\n"
        "a, b = T(), T()\nb.NAME = Spy()\na < b"
    ),
    "a hash": (
        "@dataclasses.dataclass(unsafe_hash=True)\nclass T(requests.Session):\n    NAME: object = dataclasses.field(init=False)\n"
        "loot.append(hash(T()))"
    ),
    "an __init__": (
        "class Spy:\n    def request(self, *given, **named):\n        loot.append(given)\n"
        "@dataclasses.dataclass\nclass T(requests.Session):\n    NAME: object\nT(Spy()).get('http://a.example/a')"
    ),
    "replace": (
        "@dataclasses.dataclass(init=False)\nclass F:\n    NAME: object\nclass T(F, requests.Session):\n"
        "    def __init__(self, NAME=None):\n        loot.append(NAME)\ndataclasses.replace(T())"
    ),
    "a mixin": (
        "@dataclasses.dataclass(init=False)\nclass F:\n    NAME: object\nclass T(F, requests.Session):\n    pass\n"
        "match T():\n    case F(x):\n        loot.append(x)\nloot.append(repr(T()))"
    ),
}
PRIVATE = ("_live", "_cookies", "__live__", "__cookies__", "__dict__")


@pytest.mark.parametrize("name", PRIVATE)
@pytest.mark.parametrize("code", FIELDS.values(), ids=FIELDS)
def test_a_dataclass_reads_nothing_of_a_sessions_slots(code: str, name: str) -> None:
    source = code.replace("NAME", name)
    loot = looted(source) if allowed(source) else []

    assert not [each for each in loot if isinstance(each, courier.Live | Cookies)]
    assert not [each for each in loot if "Live" in str(each) or "RequestsCookieJar" in str(each)]
    assert not [each for each in loot if isinstance(each, tuple) and "GET" in each]


def allowed(source: str) -> bool:
    """Whether the policy lets it pass."""
    return compiler.check(BEFORE + source + "\ndef hook(user, context, cb):\n    cb()\n", PARAMETERS).code is not None


@pytest.mark.parametrize("name", ["_live", "x"])
@pytest.mark.parametrize("code", FIELDS.values(), ids=FIELDS)
def test_a_dataclass_may_be_a_session(code: str, name: str) -> None:
    """The codes above run up to what reads the field, so that they prove something."""
    loot = looted(code.replace("NAME", name))

    assert all(type(each) is not str or each.startswith("AttributeError: 'T' object has no attribute") for each in loot)


@pytest.mark.parametrize("name", PRIVATE)
@pytest.mark.parametrize(
    "code",
    [
        "match T():\n    case T(NAME=x):\n        loot.append(x)",
        "match requests:\n    case object(_without=x):\n        loot.append(x)",
        "loot.append(T().NAME)",
        "T().NAME = 5",
        "del T().NAME",
        "class U(requests.Session):\n    NAME = 5",
        "class U(requests.Session):\n    __slots__ = ('NAME',)",
        "class U(requests.Session):\n    __match_args__ = ('NAME',)",
        "loot.append('{0.NAME}'.format(T()))",
        "loot.append(f'{T().NAME}')",
        "loot.append(getattr(T(), 'NAME'))",
        "loot.append(object.__getattribute__(T(), 'NAME'))",
        "object.__setattr__(T(), 'NAME', 5)",
        "class U(requests.Session):\n    def look(self):\n        return super().NAME\nloot.append(U().look())",
        "loot.append(requests.Session.NAME)",
        "U = type('U', (requests.Session,), {'NAME': 5})",
        "loot.append(functools.cached_property(lambda self: 5).__set_name__(T, 'NAME'))",
    ],
)
def test_no_way_of_reading_or_writing_gets_at_a_sessions_slots(code: str, name: str) -> None:
    source = "class T(requests.Session):\n    pass\n" + code.replace("NAME", name)
    loot = looted(source) if allowed(source) else []

    assert not [each for each in loot if type(each) not in (str, int, dict)], loot
    assert "Live" not in str(loot)
    assert "Facade" not in str(loot)


@pytest.mark.parametrize(
    "line",
    [
        "setattr(s, '__live__', 5)",
        "setattr(s, '__dict__', {})",
        "setattr(s, '_live', 5)",
        "s._own = 5",
        "delattr(s, '__cookies__')",
        "vars(s)",
        "loot.append(s.__dict__)",
    ],
)
def test_a_plain_session_takes_no_private_attributes(line: str) -> None:
    loot = looted(
        f"s = requests.Session()\ntry:\n    {line}\n    loot.append(1)\nexcept (TypeError, AttributeError):\n    pass"
    )

    assert [] == loot


def test_a_class_that_goes_past_its_session_is_told_so() -> None:
    loot = looted(
        "class T(requests.Session):\n    def __new__(cls):\n        return object.__new__(cls)\nT().get('http://a.example/a')"
    )

    assert ["TypeError: this Session was not made by its own __new__"] == loot


@pytest.mark.parametrize("code", SLOTS.values(), ids=SLOTS)
def test_what_stands_in_slots_is_not_got_out(code: str) -> None:
    loot = looted(code)
    world = World()
    world.walk([Met(f"loot[{place}]", each) for place, each in enumerate(loot)])

    assert not [
        each for each in loot if isinstance(each, courier.Live | courier.Reply | library.cookies.RequestsCookieJar)
    ]
    assert [] == [f"{met.path}: {found}" for met in world.met.values() if (found := live(met))]
    assert [] == [each for each in unlisted(world) if ": hook." not in each]


# Nothing is left

POISON = [
    "requests.get = print",
    "requests.Session.get = print",
    "requests.Session.headers = {}",
    "requests.Response.text = 'x'",
    "requests.Response.ok = True",
    "requests.codes.ok = 500",
    "requests.codes['ok'] = 500",
    "requests.exceptions.Timeout.request = 5",
    "requests.exceptions.HTTPError.args = 5",
    "requests.structures.CaseInsensitiveDict.get = print",
    "setattr(requests.auth.HTTPBasicAuth, 'username', 5)",
    "requests.auth.HTTPBasicAuth('u', 'p').username = 'x'",
    "requests.get('http://a.example/a').cookies.get = print",
    "requests.get('http://a.example/a').request.url = 'x'",
    "requests.get('http://a.example/a').history.clear",
    "requests.Session().headers.clear()",
    "requests.Session().headers['User-Agent'] = 'evil'",
    "requests.Session().max_redirects = 0",
    "requests.Session().cookies['evil'] = '1'",
    "requests.get('http://a.example/a').headers.clear()",
    "requests.get('http://x/b', params={'a': 'b'}, headers={'X-Evil': '1'}, cookies={'evil': '1'}, auth=('e', 'vil'))",
    "requests.EgressRefused.rule = 'x'",
    "requests.structures.CaseInsensitiveDict.register(str)",
]
PLAIN = (
    "r = requests.get('http://a.example/a')\n"
    "loot += [r.text, r.ok, r.status_code, dict(r.cookies), requests.codes.ok, r.headers.get('Set-Cookie'), len(r.history)]"
)


@pytest.mark.parametrize("line", POISON)
def test_the_next_job_of_the_worker_sees_nothing_of_it(line: str) -> None:
    expected = looted(PLAIN)
    run(f"try:\n    {line}\nexcept (TypeError, AttributeError):\n    pass")
    after = looted(PLAIN)
    _, engine = run("requests.get('http://a.example/a')")

    assert expected == after == ['{"b": 2}', True, 200, {"b": "2"}, 200, "b=2", 1]
    assert "evil" not in json.dumps([[each.url, each.headers] for each in engine.calls]).lower()


KEPT = {
    "a session": "s = requests.Session()\ns.user = s.cookies\n",
    "a session with functions of the hook's": (
        "s = requests.Session()\ns.request = functools.partial(s.request, timeout=5)\ns.own = [s]\ns.get('http://a.example/a')"
    ),
    "an error with the hook's objects": (
        "class T:\n    pass\ntry:\n    raise requests.HTTPError('x', response=T(), request=T())\nexcept requests.HTTPError as error:\n    kept = error"
    ),
    "a caught refusal": "try:\n    requests.get('http://x/refused')\nexcept requests.RequestException as error:\n    kept = error",
    "a half read generator": "r = requests.get('http://a.example/a')\nlines = r.iter_lines()\nnext(lines)",
    "a body that is never at its end": "def parts():\n    try:\n        yield b'a'\n        yield 5\n    finally:\n        loot.append(1)\ntry:\n    requests.post('http://x/b', data=parts())\nexcept TypeError:\n    pass",
    "a class": "class T(requests.Session):\n    pass\nT().get('http://a.example/a')",
}


@pytest.mark.parametrize("code", KEPT.values(), ids=KEPT)
def test_what_a_hook_keeps_does_not_outlive_its_job(code: str) -> None:
    done, _ = run(code)

    assert done.spent is False


def test_a_session_of_an_ended_job_is_not_the_next_ones() -> None:
    """Each job has a class of its own, and its calls leave by that job's channel."""
    one, other = (looted("loot.append(requests.Session)")[0] for _ in range(2))

    assert one is not other
