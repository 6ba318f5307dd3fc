"""What a job leaves with the standard library neither runs nor tells in the tenant's next job."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.outcome import Outcome

_ENDLESS = """
def endless():
    try:
        yield
    finally:
        while True:
            pass
def suspended():
    kept = endless()
    next(kept)
    return kept
"""
_KINDS = """
class S(str):
    pass
class B(bytes):
    pass
class V(int):
    pass
def keeping(kind, value):
    made = kind(value)
    made.kept = suspended()
    return made
"""
LEFT = {  # where a suspended generator is left; and what a later job does that lets go of it
    "the cache of netmasks": (
        "import ipaddress\nipaddress.ip_network(('10.0.0.0', keeping(V, 25)))",
        "import ipaddress\nipaddress.ip_network(('10.0.0.0', 25))",
    ),
    "the cache of address properties": (
        "import ipaddress\nclass I(ipaddress.IPv4Address):\n    pass\ni = I('10.0.0.1')\ni.kept = suspended()\ni.is_private\ni.is_global",
        "import ipaddress\n[ipaddress.ip_address(n).is_private for n in range(300)]",
    ),
    "the caches of typing": (
        "import typing\nclass A:\n    kept = suspended()\ntyping.List[A]\ntyping.Optional[A]",
        "import typing\ntyping.List[int]",
    ),
    "the cache of patterns": (
        "import re\nre.compile(keeping(S, 'a'))\nre.search('a', 'b', keeping(V, 0))",
        "import re\n[re.compile(f'{n}a') for n in range(600)]",
    ),
    "the cache of templates": (
        "import re\nre.sub('(a)', keeping(S, r'\\1'), 'a')",
        "import re\n[re.sub('(a)', f'\\\\1x{n}', 'a') for n in range(600)]",
    ),
    "the cache of time formats": (
        "import time\ntime.strptime('2026', keeping(S, '%Y'))",
        "import time\n[time.strptime('2026' + 'x' * n, '%Y' + 'x' * n) for n in range(10)]",
    ),
    "the cache of quoting": (
        "from urllib.parse import quote\nquote(b'a b', keeping(B, b'/'))\nquote('a b', keeping(S, '/'))",
        "from urllib.parse import quote\n[quote('a b', chr(n)) for n in range(33, 126)]",
    ),
    "the cache of urls": (
        "from urllib.parse import urlparse\nurlparse(keeping(S, 'http://a/'))",
        "from urllib.parse import urlparse\n[urlparse(f'http://a/{n}') for n in range(300)]",
    ),
    "the cache of a flag's values": (
        "import re\nre.A | keeping(V, 8)\ntype(re.A)(keeping(V, 10))",
        "import re\n(re.A | 8, type(re.A)(10))",
    ),
    "the cache of fractions": (
        "from fractions import Fraction\nhash(Fraction(keeping(V, 3), keeping(V, 7)))",
        "from fractions import Fraction\n[hash(Fraction(1, n)) for n in range(1, 20000)]",
    ),
    "what an alias made": (
        (
            "import json, typing\nclass K:\n    kept = suspended()\ntyping.Annotated[json.dumps, K]('x')\n"
            "typing.Annotated[lambda: json.dumps, K]()"
        ),
        "import json, typing\ntyping.Annotated[lambda: json.dumps, int]()",
    ),
    "what an alias of type told": (
        "type[keeping(V, 1)](Error('x'))",
        "type[int](Error('x'))",
    ),
    "the decimal context": (
        "import decimal\nclass C(decimal.Context):\n    pass\nc = C()\nc.kept = suspended()\ndecimal.localcontext(c).__enter__()",
        "import decimal\ndecimal.getcontext()",
    ),
    "the memo of copies": ("import copy\ncopy.deepcopy([keeping(S, 'a')])", "import copy\ncopy.deepcopy([])"),
    "a class of a shared class": (
        "class E(Error):\n    kept = suspended()\nimport typing\nclass M(typing.Mapping):\n    kept = suspended()",
        "import typing\nisinstance({}, typing.Mapping)\nkept = [[] for n in range(5000)]",
    ),
    "a circle": ("a = [suspended()]\na.append(a)", "kept = [[] for n in range(5000)]"),
    "an error's context": (
        "try:\n    raise keeping(MyError, 'x')\nexcept MyError as error:\n    error.again = error",
        "kept = [[] for n in range(5000)]",
    ),
}


@pytest.fixture
def after(
    attack: Callable[..., Outcome], run_hook: Callable[..., Outcome], hook_of: Callable[..., str], tenant: str
) -> Callable[..., Outcome]:
    """`after(attack's body, later body, before="")` → Outcome of the later job of the same tenant."""

    def run(body: str, later: str, before: str = "") -> Outcome:
        assert attack(hook_of(body, before)).status in {"ok", "raised", "rejected", "no_callback", "timeout"}
        return run_hook(hook_of(later), tenant=tenant)

    return run


@pytest.mark.parametrize(("leave", "let_go"), LEFT.values(), ids=LEFT.keys())
def test_a_generator_that_is_left_behind_does_not_end_in_a_later_job(
    after: Callable[..., Outcome], leave: str, let_go: str
) -> None:
    """Whoever keeps a hook's object keeps its generators: their `finally` runs when they are let go of. 2026-11-23."""
    before = f"class MyError(Exception):\n    pass\n{_ENDLESS}{_KINDS}"
    later = after(f"{leave}\ncb()", f"{let_go}\nmany = [[] for n in range(20000)]\ncb(None, 'done')", before)

    assert ("ok", "done") == (later.status, later.value())


_SAYS = "def __eq__(self, other):\n        return True\n    def __hash__(self):\n        return {0}"
CHANGED = {  # what a job asks the standard library in a text or number of its own: (job, later question, answer)
    "flags that say another": (
        (
            "import re\nclass V(int):\n    def __and__(self, other):\n        return int(self) & other\n"
            "    def __or__(self, other):\n        return 2 | other\n    __ror__ = __or__\n"
            "re.search('zq', 'x', V(0))\nre.compile('zq', V(0))"
        ),
        "import re\ncb(None, re.sub('zq', 'b', 'ZQ'))",
        "ZQ",
    ),
    "a template that reads otherwise": (
        (
            "import re\nclass S(str):\n    def __getitem__(self, at):\n        return 'X'[at]\n    def __len__(self):\n        return 1\n"
            "re.sub('(q)', S(r'\\1'), 'q')"
        ),
        "import re\ncb(None, re.sub('(q)', r'\\1', 'qq'))",
        "qq",
    ),
    "a pattern that reads otherwise": (
        (
            "import re\nclass S(str):\n    def __getitem__(self, at):\n        return 'X'[at]\n    def __len__(self):\n        return 1\n"
            "re.sub(S('wq'), 'a', 'q')"
        ),
        "import re\ncb(None, re.sub('wq', 'a', 'wq X'))",
        "a X",
    ),
    "safe characters that are others": (
        (
            "from urllib.parse import quote\nclass B(bytes):\n    def __iter__(self):\n        return iter(range(128))\n"
            "class S(str):\n    def encode(self, *given):\n        return B(b'/!')\nquote('a b', S('/'))\nquote(b'a b', B(b'/!'))"
        ),
        "from urllib.parse import quote\ncb(None, quote('a b<', '/!'))",
        "a%20b%3C",
    ),
    "a format that reads otherwise": (
        (
            "import time\nclass S(str):\n    def __contains__(self, it):\n        return False\n    def replace(self, *given):\n"
            "        return 'x'\ntry:\n    time.strptime('x', S('%Y-%y'))\nexcept ValueError:\n    pass"
        ),
        "import time\ncb(None, time.strptime('2026-26', '%Y-%y').tm_year)",
        2026,
    ),
    "an address that equals others": (
        (
            "import ipaddress\nclass Any:\n    def __int__(self):\n        return 167772160\n    __index__ = __int__\n"
            "    def __eq__(self, other):\n        raise ValueError\n    def __hash__(self):\n        return 167772160\n"
            "    def __and__(self, other):\n        return 167772160 & other\n    __rand__ = __and__\n"
            "class I(ipaddress.IPv4Address):\n    pass\ni = I('10.0.0.0')\ni._ip = Any()\n"
            "try:\n    i.is_private\n    i.is_global\nexcept Exception:\n    pass"
        ),
        "import ipaddress\ncb(None, [ipaddress.ip_address('10.0.0.0').is_private, ipaddress.ip_address('10.0.0.0').is_global])",
        [True, False],
    ),
    "a flag that equals others": (
        (
            f"import re\nclass E:\n    {_SAYS.format(258)}\nclass V(E, int):\n    pass\n"
            "for ask in (lambda: type(re.A)(V(258)), lambda: re.compile('zq', V(258))):\n    try:\n        ask()\n"
            "    except TypeError:\n        pass"
        ),
        "import re\ncb(None, [int(re.A | re.I), re.sub('zq', 'b', 'ZQ', 0, 2)])",
        [258, "b"],
    ),
    "a netmask that equals others": (
        (
            f"import ipaddress\nclass E:\n    {_SAYS.format(25)}\nclass V(E, int):\n    pass\n"
            "ipaddress.ip_network(('10.0.0.0', V(8)))"
        ),
        "import ipaddress\ncb(None, str(ipaddress.ip_network(('10.0.0.0', 25)).netmask))",
        "255.255.255.128",
    ),
    "the precision of decimals": (
        "import decimal\ndecimal.getcontext().prec = 2\ndecimal.localcontext(prec=3).__enter__()",
        "from decimal import Decimal\ncb(None, str(Decimal(1) / 3))",
        "0." + 28 * "3",
    ),
    "a group of a shared pattern": (
        (
            "import re\nclass O:\n    def __eq__(self, live):\n        live['stash'] = 1\n    def __ror__(self, live):\n"
            "        live['stash'] = 1\n        return {}\np = re.compile('(?P<a>b)')\np.groupindex == O()\np.groupindex | O()"
        ),
        "import re\ncb(None, dict(re.compile('(?P<a>b)').groupindex))",
        {"a": 1},
    ),
    "a member of a shared Enum": (
        (
            "import http\nclass O:\n    def __eq__(self, live):\n        live['stash'] = 1\n    def __ror__(self, live):\n"
            "        live['stash'] = 1\n        return {}\nhttp.HTTPStatus.__members__ == O()\nhttp.HTTPStatus.__members__ | O()"
        ),
        "import http\ncb(None, 'stash' in http.HTTPStatus.__members__)",
        False,
    ),
    "what stands for a class": (
        "type(hook).stash = 1",
        "cb(None, hasattr(type(hook), 'stash'))",
        False,
    ),
}


@pytest.mark.parametrize(("body", "question", "answer"), CHANGED.values(), ids=CHANGED.keys())
def test_what_a_job_asks_in_its_own_kinds_is_no_answer_to_a_later_job(
    after: Callable[..., Outcome], body: str, question: str, answer: object
) -> None:
    """Caches hold what a text or a number equals, and compute with what it says of itself. 2026-11-23."""
    later = after(f"{body}\ncb()", question)

    assert ("ok", answer) == (later.status, later.value())


def test_a_hooks_equality_runs_within_its_job_alone(
    attack: Callable[..., Outcome], run_hook: Callable[..., Outcome], hook_of: Callable[..., str], tenant: str
) -> None:
    """In a container of its own a hook's `__eq__` is called by C, as ever."""
    before = (
        "class A:\n    def __eq__(self, other):\n        return other == 5\n    def __hash__(self):\n        return 5\n"
    )
    first = attack(hook_of("cb(None, [5 in {A(): 1}, [A()].index(5), [A()].count(5), sorted([3, 1])])", before))
    second = run_hook(hook_of("cb(None, 5 in {5: 1})"), tenant=tenant)

    assert ([True, 0, 1, [1, 3]], True) == (first.value(), second.value())
