"""A tenant that is not left `requests` reaches it by no import form: neither at upload nor where its code runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.hook import Hook
from engine.outcome import Outcome

POINT = "post-change-password"
LEFT = ("json", "functools", "collections", "urllib.parse")
NOT_LEFT = "this tenant may not import the module 'requests"
PLAIN = {
    "import": "import requests\nfound = requests.post",
    "import as": "import requests as r\nfound = r.post",
    "from": "from requests import post as found",
    "from, several": "from requests import codes, post as found",
    "a module within": "import requests.auth\nfound = requests.post",
    "a module within, as": "import requests.exceptions as found",
    "from a module within": "from requests.auth import HTTPBasicAuth as found",
    "from it, a module within": "from requests import exceptions as found",
    "beside one that is left": "import json, requests\nfound = requests.post",
    "in a function": "def find():\n    import requests\n    return requests.post\nfound = find()",
    "in a class": "class Own:\n    import requests\nfound = Own.requests.post",
    "under a condition": "found = None\nif user:\n    import requests\n    found = requests.post",
    "require": "found = require('requests').post",
    "require, a module within": "found = require('requests.exceptions')",
}
HIDDEN = {
    "put together": "found = require('re' + 'quests').post",
    "by keyword": "found = require(module='requests').post",
    "under another name": "load = require\nfound = load('requests').post",
    "partial": "from functools import partial\nfound = partial(require, 'requests')().post",
    "map": "found = list(map(require, ['requests']))[0].post",
    "a default": "def find(load=require):\n    return load('requests').post\nfound = find()",
    "from what the caller sent": "found = require(user.nickname).post",
    "a text of its own kind": "class Name(str):\n    pass\nfound = require(Name('requests')).post",
    "a text that changes": (
        "class Name(str):\n    def __hash__(self):\n        return hash('json')\n"
        "    def __eq__(self, other):\n        return other == 'json'\nfound = require(Name('requests')).post"
    ),
    "with dots": "found = require('json..' + 'requests').post",
    "beside a package": "import urllib.parse\nfound = require('urllib.parse.' + 'requests').post",
    "after one that is left": "require('json')\nfound = require('requests').post",
    "again after it failed": (
        "try:\n    require('req' + 'uests')\nexcept Exception:\n    pass\nfound = require('req' + 'uests').post"
    ),
    "after it failed, through its error": (
        "try:\n    require('req' + 'uests')\nexcept Exception as error:\n    found = error.args[0].post"
    ),
}
ARGUMENTS = {"user": {"username": "user1", "nickname": "requests"}, "context": {"connection": {}}}


def hook_with(lines: str) -> str:
    """A hook that says that it won once those lines have run and found something."""
    return f"{lines}\ndef hook(user, context, cb):\n    cb(None, 'PW' + 'NED' + str(found is None))\n"


@pytest.mark.parametrize("lines", [*PLAIN.values(), "from requests import *\nfound = post"], ids=[*PLAIN, "star"])
def test_an_upload_that_imports_it_is_refused(attack: Callable[..., Outcome], lines: str) -> None:
    outcome = attack(hook_with(lines), ARGUMENTS, modules=LEFT)

    assert "rejected" == outcome.status
    assert NOT_LEFT in outcome.message
    assert "it may import collections, collections.abc, functools, json, urllib.parse" in outcome.diagnostics[0].hint


@pytest.mark.parametrize("lines", (PLAIN | HIDDEN).values(), ids=(PLAIN | HIDDEN).keys())
@pytest.mark.parametrize("warm", [False, True], ids=["blank worker", "worker that had it"])
def test_code_that_was_compiled_when_it_was_left_does_not_get_it_now(
    attack: Callable[..., Outcome], engine_thread: Any, tenant: str, lines: str, *, warm: bool
) -> None:
    """The map is asked when the import happens, also in a worker whose earlier job had `requests` and used it."""
    compiled = engine_thread.wait(engine_thread.engine.compile(Hook(hook_with(lines), POINT, tenant)))
    assert "ok" == compiled.outcome.status
    if warm:
        had = engine_thread.run(hook_with("import requests\nfound = requests.Session()"), tenant=tenant)
        assert "PWNEDFalse" == had.value()
    outcome = attack(hook_with(lines), ARGUMENTS, modules=LEFT, code=compiled.code)

    assert "raised" == outcome.status
    assert "PWNED" not in str(outcome.value())


def test_what_one_job_had_the_next_does_not_find(attack: Callable[..., Outcome], run_hook: Any, tenant: str) -> None:
    """A job that was left `requests` hides it where it can; the next job of the tenant is not left it."""
    hide = (
        "import requests, json, functools\n"
        "class Kept(Exception):\n    pass\n"
        "def hook(user, context, cb):\n"
        "    for place in (json, functools, hook, Kept, Error, console, module, require, user, context):\n"
        "        try:\n            place.stash = requests\n        except Exception:\n            pass\n"
        "    cb(None, 'hidden')\n"
    )
    seek = (
        "import json, functools\n"
        "def hook(user, context, cb):\n"
        "    for place in (json, functools, hook, Error, console, module, require, user, context):\n"
        "        found = getattr(place, 'stash', None)\n"
        "        if found is not None:\n            return cb(None, 'PW' + 'NED')\n"
        "    cb(None, 'nothing')\n"
    )
    assert "hidden" == run_hook(hide, tenant=tenant).value()
    outcome = attack(seek, modules=("json", "functools"), seed=1)

    assert ("ok", "nothing") == (outcome.status, outcome.value())


def test_the_choice_of_one_tenant_is_not_that_of_another(run_hook: Callable[..., Outcome]) -> None:
    """The same source at the same time: what is kept of a check is kept with the choice it was made under."""
    source = hook_with("import requests\nfound = requests.post")
    ends = [
        run_hook(source, tenant="chooses", modules=modules).status
        for modules in (None, LEFT, ("requests",), (), LEFT, None)
    ]

    assert ["ok", "rejected", "ok", "rejected", "rejected", "ok"] == ends
