"""A tenant may be left a part of the module map: checks and imports agree on which, and say so."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import require
from sandbox.compiler import check
from sandbox.modules import makers
from sandbox.modules.facade import offered_by
from sandbox.wire import Advice, Checked

pytestmark = pytest.mark.usefixtures("facades")

PARAMETERS = ("user", "context", "cb")
HOOK = "\ndef hook(user, context, cb):\n    cb()\n"


def importer(*modules: str) -> require.Importer:
    """The imports of one job of a tenant that is left those."""
    return require.Importer(makers.Job(1, lambda _: False, lambda _: None), modules)


def imported(code: str, *modules: str) -> dict[str, Any]:
    """The namespace after that code, for that tenant."""
    namespace: dict[str, Any] = {"__builtins__": {"__import__": importer(*modules).import_}}
    exec(code, namespace)
    return namespace


def checked(code: str, *modules: str, **fields: Any) -> Checked:
    return check(code + HOOK, PARAMETERS, modules=modules, **fields)


def test_without_a_choice_the_whole_map_is_permitted() -> None:
    assert list(require.MODULE_MAP) == list(require.permitted(None))


@pytest.mark.parametrize(
    ("modules", "permitted"),
    [
        ((), ()),
        (("json",), ("json",)),
        (("requests",), ("requests", "requests.auth", "requests.exceptions", "requests.structures")),
        (("requests.auth",), ("requests.auth",)),
        (("collections.abc", "re"), ("collections.abc", "re")),
        (("urllib.parse",), ("urllib.parse",)),
        (("no longer mapped", "json"), ("json",)),
        (("js", "request"), ()),
    ],
)
def test_a_module_brings_what_stands_within_it_and_nothing_else(
    modules: tuple[str, ...], permitted: tuple[str, ...]
) -> None:
    assert permitted == tuple(require.permitted(modules))


@pytest.mark.parametrize(
    "code",
    ["import json", "from json import dumps", "x = require('json')", "import json as j, re", "import re, json as j"],
)
def test_what_the_tenant_is_left_is_accepted(code: str) -> None:
    assert () == checked(code, "json", "re").diagnostics


@pytest.mark.parametrize(
    ("code", "asked"),
    [
        ("import requests", "requests"),
        ("import requests as r", "requests"),
        ("from requests import post", "requests"),
        ("from requests import auth", "requests.auth"),
        ("import requests.auth", "requests.auth"),
        ("from requests.auth import HTTPBasicAuth", "requests.auth"),
        ("x = require('requests')", "requests"),
        ("x = require('requests.auth')", "requests.auth"),
        ("from urllib import parse", "urllib.parse"),
        ("import urllib.parse", "urllib.parse"),
    ],
)
def test_a_check_refuses_what_it_is_not_left_and_names_what_it_is(code: str, asked: str) -> None:
    finding, *others = checked(code, "json", "re").diagnostics

    assert [] == others
    assert ("import", f"this tenant may not import the module {asked!r}") == (finding.rule, finding.message)
    assert "it may import json, re; the operator decides" == finding.hint


def test_a_tenant_that_is_left_nothing_is_told_so() -> None:
    assert "it may import none; the operator decides" == checked("import json").diagnostics[0].hint


def test_a_dependency_that_the_tenant_may_not_import_is_refused() -> None:
    (finding,) = checked("", "json", dependencies=("json", "requests")).diagnostics

    assert ("dependency", "this tenant may not import the module 'requests'") == (finding.rule, finding.message)


def test_a_module_that_nobody_may_import_is_told_as_ever() -> None:
    (finding,) = checked("import os", "json").diagnostics

    assert require.missing_module("os") == (finding.message, finding.hint)


@pytest.mark.parametrize(("modules", "near"), [(None, "did you mean 'hashlib'?"), (("json",), "docs/hooks.md")])
def test_the_nearest_name_is_one_that_the_tenant_may_import(modules: tuple[str, ...] | None, near: str) -> None:
    missing = require.missing_module("hashlb", modules)

    assert missing is not None
    assert near in missing[1]


def test_a_warning_offers_no_import_that_would_be_refused() -> None:
    source = "def hook(user, context, cb):\n    cb(None, json.dumps(1))\n"
    hints = [
        check(source, PARAMETERS, (), Advice(()), modules).warnings[0].hint for modules in (None, ("json",), ("re",))
    ]

    assert ["write import json", "write import json", ""] == hints


@pytest.mark.parametrize("name", require.MODULE_MAP)
def test_an_import_gives_each_module_alone_to_the_tenant_that_is_left_it(name: str) -> None:
    own = importer(name)

    assert own.require(name) is own.require(name)
    for other in require.MODULE_MAP:
        if name not in require.modules_above(other):
            with pytest.raises(ModuleNotFoundError, match="this tenant may not import the module"):
                own.require(other)


def test_the_error_of_an_import_names_what_the_tenant_may_import() -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        imported("import requests", "json", "urllib.parse")

    said = "this tenant may not import the module 'requests'. it may import json, urllib.parse; the operator decides"
    assert said == str(caught.value)


@pytest.mark.parametrize("code", ["import requests.auth", "from requests import auth", "import requests.auth as auth"])
def test_a_module_within_one_that_is_not_left_comes_without_it(code: str) -> None:
    """`import requests.auth` binds `requests`: for this tenant that holds `auth` and nothing else."""
    found = imported(code, "requests.auth")
    package = found.get("requests")

    assert package is None or ["auth"] == offered_by(package)
    assert ["HTTPBasicAuth"] == offered_by(found["auth"] if package is None else package.auth)
    assert () == checked(code, "requests.auth").diagnostics


@pytest.mark.parametrize("code", ["from requests import post", "from requests import auth, post"])
def test_the_bare_package_offers_no_name_of_the_module(code: str) -> None:
    with pytest.raises(ImportError):
        imported(code, "requests.auth")
    assert checked(code, "requests.auth").diagnostics


def test_a_module_that_is_left_comes_with_what_stands_within_it() -> None:
    found = imported("import collections.abc\nfrom requests import exceptions", "collections", "requests")

    assert "abc" in offered_by(found["collections"])
    assert "Timeout" in offered_by(found["exceptions"])


def test_what_c_code_imports_by_itself_is_no_question_of_the_tenants_map() -> None:
    assert importer().import_("time", {}, {}, [], 0) is None
