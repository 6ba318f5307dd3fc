"""Memory, time and recursion: a hook spends its own and is ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from engine.hook import Hook, Limits
from engine.outcome import Outcome

ENDLESS = {
    "loop": ("while True:\n    pass", "told"),
    "sleep": ("import time\ntime.sleep(10**6)", "told"),
    "sum of a repeat": ("import itertools\nsum(itertools.repeat(0))", "killed"),
    "deque of a repeat": ("import itertools, collections\ncollections.deque(itertools.repeat(0), 0)", "killed"),
    "any of a count": ("import itertools\nany(map(lambda x: False, itertools.count()))", "told"),
    "membership": ("import itertools\n1 in itertools.repeat(0)", "killed"),
    "key derivation": ("import hashlib\nhashlib.pbkdf2_hmac('sha512', b'', b'', 10**9)", "killed"),
    "pattern": ("import re\nre.match('(a+)+$', 'a' * 64 + 'b')", "told"),
    "power": ("x = 7 ** (7 ** 9)", "killed"),
    "factorial": ("import math\nmath.factorial(10**7)", "killed"),
    "comb": ("import math\nmath.comb(10**7, 5 * 10**6)", "killed"),
    "int from text": ("x = 10 ** 2000000 // 3 ** 1000000", "killed"),
    "sort that compares": (
        "class A:\n    def __lt__(self, o):\n        while True:\n            pass\nsorted([A(), A()])",
        "told",
    ),
    "generator that swallows": (
        "def g():\n    while True:\n        try:\n            yield 1\n        except:\n            pass\nfor x in g():\n    pass",
        "told",
    ),
    "permutations": ("import itertools\nlist(filter(None, (0 for p in itertools.permutations(range(20)))))", "told"),
    "loop at the top": ("", "told"),
    "random shuffle": ("import random\nrandom.choices([0], k=10**7)\nwhile True:\n    pass", "told"),
    "callback that loops": ("cb(None, 1)\nwhile True:\n    pass", "told"),
}
HUNGRY = {
    "bytes": "x = bytearray(10**10)",
    "text": "x = 'a' * 10**10",
    "list": "x = [0] * 10**10",
    "growing list": "x = []\nwhile True:\n    x.append('a' * 10**6)",
    "doubling text": "x = 'a'\nwhile True:\n    x += x",
    "doubling list": "x = [0]\nwhile True:\n    x = x + x",
    "range to list": "x = list(range(10**9))",
    "shift": "x = 1 << 10**10",
    "product": "import itertools\nx = list(itertools.product(range(1000), repeat=4))",
    "join": "x = 'a'.join(['b' * 10**6] * 10**4)",
    "replace": "x = ('a' * 10**5).replace('a', 'b' * 10**5)",
    "padding": "x = ''.ljust(10**10)",
    "scrypt": "import hashlib\nx = hashlib.scrypt(b'', salt=b'', n=2**22, r=64, p=1, maxmem=2**31 - 1)",
    "random bytes": "import secrets\nx = secrets.token_bytes(10**10)",
    "tee": "import itertools\na, b = itertools.tee(itertools.count())\nfor x in a:\n    pass",
    "yaml": "import yaml\nx = 'a: &a [x]\\n'\nfor i in range(9):\n    x += '%s: &%s [%s]\\n' % ('bcdefghij'[i], 'bcdefghij'[i], ','.join(['*' + 'abcdefghij'[i]] * 9))\nx = str(yaml.safe_load(x))",
}
DEEP = {
    "function": "def f(n):\n    return f(n + 1)\nf(0)",
    "repr": "x = []\nfor i in range(10**5):\n    x = [x]\nrepr(x)",
    "json": "import json\njson.loads('[' * 10**5)",
    "json out": "import json\nx = []\nfor i in range(10**5):\n    x = [x]\njson.dumps(x)",
    "copy": "import copy\nx = []\nfor i in range(10**5):\n    x = [x]\ncopy.deepcopy(x)",
    "comparison": "x, y = [], []\nx.append(y)\ny.append(x)\nx == y",
    "pattern": "import re\nre.compile('(' * 10**4 + ')' * 10**4)",
    "yaml": "import yaml\nyaml.safe_load('[' * 10**4)",
    "partial": "from functools import partial\nf = print\nfor i in range(10**5):\n    f = partial(f, i).func\n    f = partial(partial(f), x=1)\nf()",
    "property": "class A:\n    @property\n    def a(self):\n        return self.a\nA().a",
    "reduce": "from functools import reduce\nf = lambda x: reduce(lambda a, b: f(b), [1, 2])\nf(1)",
    "isinstance": "x = int\nfor i in range(10**5):\n    x = (x,)\nisinstance('', x)",
    "union": "import typing\nx = int\nfor i in range(10**4):\n    x = typing.List[x]\nrepr(x)",
}


@pytest.mark.parametrize(("body", "end"), ENDLESS.values(), ids=ENDLESS.keys())
def test_an_endless_hook_is_ended_in_time(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], limits: type[Limits], body: str, end: str
) -> None:
    """The deadline is the engine's: a hook inside one C call is killed, any other is asked for its line first."""
    source = hook_of(body) if body else "while True:\n    pass\n"
    outcome = attack(source, limits=limits(wall_ms=400))

    assert outcome.status in ("timeout", "out_of_memory")
    assert outcome.usage.wall_ms < 1_500
    assert end == "killed" or outcome.line is not None


@pytest.mark.parametrize("body", HUNGRY.values(), ids=HUNGRY.keys())
def test_a_hungry_hook_meets_the_limit_of_its_own_worker(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], limits: type[Limits], body: str
) -> None:
    """Memory is bounded per worker: the hook gets a MemoryError or is ended; nobody else notices."""
    outcome = attack(hook_of(body), limits=limits(wall_ms=1_000))

    assert outcome.status in ("out_of_memory", "timeout", "raised")
    assert outcome.status != "raised" or outcome.message.startswith(("OverflowError", "ValueError"))


@pytest.mark.parametrize("body", DEEP.values(), ids=DEEP.keys())
def test_recursion_ends_as_an_error_of_the_hook(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], limits: type[Limits], body: str
) -> None:
    """Neither Python's stack nor C's breaks a worker; where it would, only that job ends."""
    outcome = attack(hook_of(body), limits=limits(wall_ms=1_500))

    assert outcome.status in ("raised", "no_callback", "timeout", "out_of_memory")


def test_a_hook_that_swallows_memory_errors_is_ended(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], limits: type[Limits]
) -> None:
    """Catching MemoryError buys no time."""
    body = "x = []\nwhile True:\n    try:\n        x.append(bytearray(10**6))\n    except MemoryError:\n        pass\n"

    assert attack(hook_of(body), limits=limits(wall_ms=500)).status in ("timeout", "out_of_memory")


def test_a_compressed_bomb_stays_bytes(reach: Callable[..., Outcome]) -> None:
    """What unpacks says how much at most; no other module of the map unpacks anything."""
    bomb = reach("len(zlib.decompress(zlib.compress(b'0' * 50_000_000)))", before="import zlib\n")
    assert ("raised", True) == (bomb.status, "bytes" in bomb.message)
    for name in ("gzip", "bz2", "lzma", "zipfile", "tarfile"):
        outcome = reach(name, before=f"import {name}\n")
        assert ("rejected", "import") == (outcome.status, outcome.diagnostics[0].rule)


@pytest.mark.parametrize("codec", ["zlib_codec", "bz2_codec", "zip", "hex", "rot13", "nothing", "../../etc/passwd"])
def test_a_codec_by_name_unpacks_and_imports_nothing(reach: Callable[..., Outcome], codec: str) -> None:
    """Decode takes text encodings; a codec that is not loaded already is not found."""
    outcome = reach(f"b'abc'.decode('{codec}')")

    assert ("raised", "LookupError") == (outcome.status, outcome.message.split(":")[0])


def test_a_job_that_has_grown_its_worker_leaves_no_memory_behind(
    attack: Callable[..., Outcome], run_hook: Callable[..., Outcome], hook_of: Callable[..., str], tenant: str
) -> None:
    """A worker that has become large is replaced."""
    attack(hook_of("x = bytearray(120 * 10**6)\ncb()"))

    assert run_hook(hook_of("cb(None, len(bytearray(200 * 10**6)))"), tenant=tenant).value() == 200 * 10**6


def test_many_endless_hooks_do_not_keep_others_out(
    hook_of: Callable[..., str], limits: type[Limits], engine_thread: Any
) -> None:
    """A tenant has so many workers and no more; another tenant's hook runs beside them."""
    endless = Hook(hook_of("while True:\n    pass"), "post-change-password", "greedy", limits=limits(wall_ms=600))
    harmless = Hook(hook_of("cb(None, 1)"), "post-change-password", "modest")
    arguments = {"user": {}, "context": {"connection": {}}}

    async def together() -> tuple[Outcome, list[Outcome]]:
        greedy = [asyncio.create_task(engine_thread.engine.run(endless, arguments)) for _ in range(10)]
        modest = await engine_thread.engine.run(harmless, arguments)
        return modest, await asyncio.gather(*greedy)

    modest, greedy = engine_thread.wait(together())

    assert "ok" == modest.status
    assert {"timeout"} == {outcome.status for outcome in greedy}
