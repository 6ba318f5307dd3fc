"""What the zygote does once so that no worker does it: lazy imports, facades, zones, a few runs through the hot path.

A worker cannot import: it has no files. Every lazy import of the paths a hook can take must have happened here.
"""

from __future__ import annotations

import datetime
import encodings.idna
import encodings.punycode  # noqa: F401 - and its other half
import importlib
import importlib.util
import linecache  # noqa: F401 - traceback's
import os
import sys
import time
import tokenize  # noqa: F401 - linecache's
import traceback  # noqa: F401 - of uncaught exceptions
from codecs import lookup
from types import ModuleType

from sandbox import channel, compiler, hook, probes, require, wire, worker  # noqa: F401 - probes: for the doctor's forks
from sandbox.modules import decorators

_SOURCE = '''
"""Touches what hooks touch, so that the first real one finds it warm."""
import json, re
from datetime import datetime, timezone
class Note:
    def __init__(self, text):
        self.text = text
def hook(user, context, cb):
    note = Note(f"{user.name} {datetime.now(timezone.utc).isoformat()}")
    found = re.sub("a+", lambda match: match.group(0).upper(), note.text)
    print(json.dumps({"note": found, "format": "{}".format(1)}))
    cb(None, {"note": [found]})
'''
_FAILING = "def hook(user, context, cb):\n    raise ValueError(user.missing)\n"
_REHEARSED = """
def hook(user, context, cb):
    cb(None, {"user": {"name": f"{user.name}"}, "list": [user.get("none", number) for number in range(2)]})
"""
_REFUSED = "import os\nx.__class__\n"
_ENCODINGS = (
    "utf-8",
    "ascii",
    "latin-1",
    "utf-16",
    "utf-16-le",
    "utf-32",
    "cp1252",
    "idna",
    "punycode",
    "unicode_escape",
    # what most of the web is written in: each costs every fork some 25 KiB
    *"utf-8-sig utf-16-be utf-32-le utf-32-be koi8-r tis-620".split(),
    *"gb2312 gbk gb18030 big5 shift-jis euc-jp iso2022-jp euc-kr".split(),
    *(f"iso8859-{part}" for part in (2, 5, 7, 8, 9, 15)),
    *(f"cp{page}" for page in (1250, 1251, 1253, 1254, 1255, 1256, 1257, 1258)),
)


def _grow_stack() -> None:
    """A stack cannot grow once the address space is used up, and telling that it is takes some."""
    nested: list[object] = []
    for _ in range(800):
        nested = [nested]
    repr(nested)


def _module_of_hooks() -> ModuleType:
    """Where dataclasses look for the names of a hook's class, and compile its methods: it holds next to nothing."""
    made = ModuleType(require.HOOK_NAME)
    vars(made).update(decorators.MARKERS, __builtins__=decorators.GENERATED)
    return made


class _Silence(channel.Channel):
    """A channel that says nothing: the warm-up has nobody to talk to."""

    def __init__(self) -> None:
        """Needs no descriptor of its own."""
        super().__init__(os.open(os.devnull, os.O_RDWR))

    def send(self, frame: wire.Frame) -> None:
        """Do it all, to nobody."""
        super().send(frame)


def warm_up() -> None:
    """Import, build and run. Takes about a tenth of a second."""
    require.load_facades()
    sys.modules[require.HOOK_NAME] = _module_of_hooks()
    for name in _ENCODINGS:
        lookup(name)
    if importlib.util.find_spec("_pylong"):  # CPython 3.12: division and text of very large integers, imported from C
        importlib.import_module("_pylong")
    datetime.datetime.strptime("2026-01-01", "%Y-%m-%d").astimezone().strftime("%A")
    time.tzset()
    parameters = ("user", "context", "cb")
    for source in (_SOURCE, _FAILING):
        hook.run(_job(source, parameters), _Silence())
    compiler.check(_REFUSED, parameters)
    _grow_stack()
    worker.soft_stop.install()
    worker.rehearsals.append(_job(_REHEARSED, parameters))


def _job(source: str, parameters: tuple[str, ...]) -> wire.Run:
    checked = compiler.check(source, parameters)
    if checked.code is None:
        raise RuntimeError(f"the policy refuses the warm-up: {checked.diagnostics}")
    job = wire.Run(checked.code, parameters, b'{"user": {"name": "a"}}', {}, "", 1, wire.Limits())
    wire.parse(wire.pack(job)[wire.PREFIX_BYTES :], wire.jobs)
    return job
