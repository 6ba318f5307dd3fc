"""After the warm-up a worker, which can open no file, runs what needs a lazy import elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sandbox import wire

BODIES = {
    "strftime": "from datetime import datetime\n    cb(None, datetime(2026, 1, 1).strftime('%A %d %B'))",
    "strptime": "from datetime import datetime\n    cb(None, datetime.strptime('2026-01-02', '%Y-%m-%d').isoformat())",
    "decimal": "from decimal import Decimal\n    cb(None, f'{Decimal(1) / 3:.3f}')",
    "zone": "from datetime import datetime\n    from zoneinfo import ZoneInfo\n    cb(None, datetime(2026, 7, 1, tzinfo=ZoneInfo('Europe/Berlin')).isoformat())",
    "every zone": "from zoneinfo import ZoneInfo, available_timezones\n    cb(None, len([ZoneInfo(name) for name in available_timezones()]) > 400)",
    "local time": "import time\n    cb(None, time.strftime('%Z', time.gmtime(0)))",
    "encodings": "cb(None, ['é'.encode(name).decode(name) for name in ('utf-8', 'latin-1', 'utf-16', 'cp1252', 'idna', 'punycode')])",
    "regular expression": "import re\n    cb(None, re.sub(r'(?P<a>\\w+)', lambda m: m.group('a').upper(), 'é b'))",
    "hash": "import hashlib, hmac\n    cb(None, [hashlib.new('sha256', b'a').hexdigest(), hmac.new(b'k', b'm', 'sha256').hexdigest(), len(hashlib.scrypt(b'p', salt=b's', n=2, r=1, p=1))])",
    "yaml": "import yaml\n    cb(None, yaml.safe_load(yaml.safe_dump({'a': [1, 2.5, None, 'é']})))",
    "statistics": "import statistics\n    cb(None, [statistics.mean([1, 2]), statistics.quantiles([1, 2, 3])])",
    "dataclass": "from dataclasses import dataclass, asdict\n    @dataclass\n    class P:\n        a: int = 1\n    cb(None, asdict(P()))",
    "enum": "from enum import Enum\n    class C(Enum):\n        A = 1\n    cb(None, C(1).name)",
    "address": "import ipaddress\n    cb(None, str(ipaddress.ip_network('10.0.0.0/8')))",
    "html": "import html\n    cb(None, html.unescape('&eacute;&amp;'))",
    "template": "from string import Template\n    cb(None, Template('$a').substitute(a=1))",
    "random": "import random, secrets, uuid\n    cb(None, [random.choice([1]), len(secrets.token_hex(4)), len(str(uuid.uuid4()))])",
    "unicode": "import unicodedata\n    cb(None, unicodedata.name('é'))",
    "namedtuple": "from collections import namedtuple\n    cb(None, namedtuple('P', 'a b')(1, 2).a)",
    "copy": "import copy\n    cb(None, copy.deepcopy(user))",
    "error with notes": "try:\n        {}['a']\n    except KeyError as error:\n        error.add_note('x')\n        cb(None, str(error))",
    "big integers": "cb(None, len(str(3 ** 5000)))",
}


@pytest.mark.parametrize("text", BODIES.values(), ids=BODIES)
def test_a_worker_without_files_does_it(worker: Any, text: str) -> None:
    done, _ = worker.run(f"def hook(user, context, cb):\n    {text}\n")

    assert ("ok", "") == (done.status, done.message)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise ValueError('é')", "ValueError: é"),
        ("b'\\xff'.decode()", "UnicodeDecodeError"),
        ("'é'.encode('ascii')", "UnicodeEncodeError"),
        ("''.encode('cp037')", "LookupError"),
        ("import json\n    json.loads('{')", "JSONDecodeError"),
        ("from zoneinfo import ZoneInfo\n    ZoneInfo('Nowhere')", "ZoneInfoNotFoundError"),
    ],
)
def test_a_worker_without_files_tells_what_was_raised(
    worker: Any, hook_job: Callable[..., Any], text: str, said: str
) -> None:
    done, _ = worker.run(f"def hook(user, context, cb):\n    {text}\n")

    assert "raised" == done.status
    assert done.message.startswith(said)
    assert worker.finish(hook_job("def hook(user, context, cb):\n    cb()\n"))[0].status == "ok"


def test_a_warning_of_the_compiler_does_not_end_a_worker(worker: Any) -> None:
    """It would look for the line in a file, and write to a descriptor that is closed."""
    checked, _ = worker.finish(
        wire.Check("def hook(user, context, cb):\n    cb(None, '\\d' is 'x')\n", ("user", "context", "cb"))
    )

    assert ((), True) == (checked.diagnostics, checked.code is not None)
