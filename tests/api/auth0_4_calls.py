"""A program for a venv of its own: auth0-python's 4.x line asks a server everything about hooks and prints what it saw.

Standard input: {"domain", "token", "reader", "slow"} as JSON; standard output: {name: what came of it} as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from auth0.exceptions import Auth0Error
from auth0.management.hooks import Hooks
from auth0.rest import RestClientOptions

SCRIPT = "def hook(user, context, cb):\n    cb()\n"
UNKNOWN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def hooks_of(given: dict[str, str], token: str) -> Hooks:
    return Hooks(given["domain"], token, protocol="http", rest_options=RestClientOptions(retries=0))


def body(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "script": SCRIPT, "triggerId": "post-change-password"} | fields


def error_of(call: Callable[[], Any]) -> list[Any]:
    try:
        return ["no error", call()]
    except Auth0Error as error:
        return [error.status_code, error.error_code, error.message]


def lives(hooks: Hooks) -> dict[str, Any]:
    made = hooks.create(body("welcome", enabled=True))
    seen = {"made": made, "got": hooks.get(made["id"]), "part": hooks.get(made["id"], fields=["id", "name"])}
    seen["changed"] = hooks.update(made["id"], {"name": "farewell", "script": SCRIPT + "# 2\n"})
    off = hooks.create(body("off"))
    seen["enabled"] = [hook["name"] for hook in hooks.all()]
    seen["all"] = [hook["name"] for hook in hooks.all(enabled=None)]
    seen["totals"] = hooks.all(enabled=None, include_totals=True, page=1, per_page=1, fields=["name"])
    seen["without"] = sorted(hooks.all(fields=["script", "id"], include_fields=False)[0])
    seen["past"] = hooks.all(enabled=None, page=9)
    seen["deleted"] = hooks.delete(off["id"])
    return seen


def secrets(hooks: Hooks) -> dict[str, Any]:
    hook_id = hooks.create(body("keeps secrets"))["id"]
    seen = {"none": hooks.get_secrets(hook_id), "added": hooks.add_secrets(hook_id, {"A": "1", "B": "2"})}
    seen["changed"] = hooks.update_secrets(hook_id, {"A": "3"})
    seen["masked"] = hooks.get_secrets(hook_id)
    seen["deleted"] = hooks.delete_secrets(hook_id, ["A"])
    seen["left"] = hooks.get_secrets(hook_id)
    seen["409"] = error_of(lambda: hooks.add_secrets(hook_id, {"B": "1"}))
    seen["404"] = error_of(lambda: hooks.update_secrets(hook_id, {"A": "1"}))
    return seen


def errors(hooks: Hooks, reader: Hooks, stranger: Hooks) -> dict[str, Any]:
    return {
        "400": error_of(lambda: hooks.create(body("bad", script="import os\n"))),
        "400 query": error_of(lambda: hooks.all(fields=["nope"])),
        "400 path": error_of(lambda: hooks.get("not_an_id")),
        "401": error_of(stranger.all),
        "403": error_of(lambda: reader.create(body("no"))),
        "404": error_of(lambda: hooks.get(UNKNOWN)),
        "404 update": error_of(lambda: hooks.update(UNKNOWN, {"enabled": True})),
        "404 delete": error_of(lambda: hooks.delete(UNKNOWN)),
        "404 secrets": error_of(lambda: hooks.get_secrets(UNKNOWN)),
        "404 add": error_of(lambda: hooks.add_secrets(UNKNOWN, {"A": "1"})),
        "404 remove": error_of(lambda: hooks.delete_secrets(UNKNOWN, ["A"])),
        "409": error_of(lambda: hooks.create(body("keeps secrets"))),
    }


def limited(slow: Hooks, patient: Hooks) -> dict[str, Any]:
    told = error_of(lambda: [slow.all() for _ in range(50)])
    started = time.monotonic()
    for _ in range(4):
        patient.all()
    return {"error": told, "late": time.monotonic() - started}


def main() -> None:
    given = json.load(sys.stdin)
    hooks = hooks_of(given, given["token"])
    seen = {"lives": lives(hooks), "secrets": secrets(hooks)}
    seen["errors"] = errors(hooks, hooks_of(given, given["reader"]), hooks_of(given, "hc_" + "x" * 43))
    patient = Hooks(given["domain"], given["slow"], protocol="http")
    seen["limited"] = limited(hooks_of(given, given["slow"]), patient)
    json.dump(seen, sys.stdout)


main()
