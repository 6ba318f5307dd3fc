"""The module map: all that it offers is there, nothing else is, and no import form leads past it."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import guards, require
from sandbox.modules import makers
from sandbox.modules.facade import Facade, offered_by

pytestmark = pytest.mark.usefixtures("facades")

SHARED = sorted(name for name, entry in require.MODULE_MAP.items() if "make" not in entry)
MADE = sorted(name for name, entry in require.MODULE_MAP.items() if "make" in entry)
NEWER = {  # names that an older Python lacks
    ("csv", "QUOTE_NOTNULL"): (3, 12),
    ("csv", "QUOTE_STRINGS"): (3, 12),
    ("itertools", "batched"): (3, 12),
    ("math", "sumprod"): (3, 12),
}
STANDARD = sorted(name for name in sys.stdlib_module_names if not name.startswith("_"))


@pytest.fixture
def importer() -> require.Importer:
    """The imports of one job."""
    return require.Importer(makers.Job(1, lambda _: False, lambda _: None))


def imported(code: str, importer: require.Importer) -> dict:
    """The namespace after that code, with the guarded `__import__`."""
    namespace = {"__builtins__": {"__import__": importer.import_}}
    exec(code, namespace)
    return namespace


@pytest.mark.parametrize("module", require.MODULE_MAP)
def test_every_mapped_module_loads_and_every_name_it_offers_resolves(importer: Any, module: str) -> None:
    facade = importer.require(module)
    wanted = {
        name for name in require.MODULE_MAP[module]["names"] if sys.version_info >= NEWER.get((module, name), (3,))
    }

    assert isinstance(facade, Facade)
    assert wanted <= set(offered_by(facade)) == require.names_of(module)
    assert all(getattr(facade, name) is not None for name in offered_by(facade))


@pytest.mark.parametrize("module", require.MODULE_MAP)
def test_no_facade_offers_a_module(importer: Any, module: str) -> None:
    facade = importer.require(module)

    assert not [name for name in offered_by(facade) if isinstance(getattr(facade, name), types.ModuleType)]


@pytest.mark.parametrize("module", require.MODULE_MAP)
def test_what_a_facade_offers_cannot_be_written_to(importer: Any, module: str) -> None:
    """A hook that planted something in a shared object would meet it again in its next job."""
    facade = importer.require(module)
    set_attribute = guards.Guards({}).set_attribute
    written = []
    for name in offered_by(facade):
        value = getattr(facade, name)
        try:
            set_attribute(value, "planted", 1)
        except (TypeError, AttributeError):
            continue
        written.append(name)
        delattr(getattr(value, "__origin__", value), "planted")

    assert written == []


@pytest.mark.parametrize("module", require.MODULE_MAP)
def test_a_facade_cannot_be_changed(importer: Any, module: str) -> None:
    facade = importer.require(module)
    for name in (*offered_by(facade), "planted"):
        with pytest.raises(TypeError):
            setattr(facade, name, 1)
        with pytest.raises(TypeError):
            delattr(facade, name)


@pytest.mark.parametrize("module", SHARED)
def test_a_facade_without_state_is_the_same_in_every_job(module: str) -> None:
    assert require.Importer(makers.Job(1, lambda _: False, lambda _: None)).require(module) is require.Importer(
        makers.Job(2, lambda _: False, lambda _: None)
    ).require(module)


@pytest.mark.parametrize("module", MADE)
def test_a_facade_with_state_is_one_in_a_job_and_another_in_the_next(module: str) -> None:
    importer = require.Importer(makers.Job(1, lambda _: False, lambda _: None))

    assert importer.require(module) is importer.require(module)
    assert importer.require(module) is not require.Importer(makers.Job(1, lambda _: False, lambda _: None)).require(
        module
    )


@pytest.mark.parametrize(
    "module",
    ["os", "sys", "builtins", "importlib", "subprocess", "inspect", "sandbox", "json.decoder", "", "__main__", "hook"],
)
def test_a_module_that_is_not_mapped_is_not_there(importer: Any, module: str) -> None:
    with pytest.raises(ModuleNotFoundError, match="is not available to hooks"):
        importer.require(module)
    assert require.check_import(module, None) is not None


class Name(str):
    __slots__ = ()

    def __hash__(self) -> int:
        return hash("json")

    def __eq__(self, other: object) -> bool:
        return other == "json"


@pytest.mark.parametrize("module", [Name("os"), 5, None, ["json"], b"json"])
def test_a_module_is_named_by_a_plain_text(importer: Any, module: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        importer.require(module)


@pytest.mark.parametrize(
    ("asked", "near"),
    [("jsn", "json"), ("urllib.prse", "urllib.parse"), ("date_time", "datetime"), ("hashlb", "hashlib")],
)
def test_the_nearest_name_is_offered(importer: Any, asked: str, near: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=f"did you mean '{near}'"):
        importer.require(asked)
    message, hint = require.check_import(asked, None)

    assert (f"the module '{asked}' is not available to hooks", f"did you mean '{near}'?") == (message, hint)


def test_without_a_near_name_it_is_told_where_the_list_is() -> None:
    _, hint = require.check_import("zzzzzz", None)

    assert "docs/hooks.md lists the modules that a hook may import" == hint


@pytest.mark.parametrize("module", STANDARD)
def test_every_module_of_the_standard_library_is_offered_or_left_out_with_a_reason(module: str) -> None:
    offered = [name for name in require.MODULE_MAP if name.partition(".")[0] == module]

    assert bool(offered) is not (module in require.LEFT_OUT_MODULES)


def test_no_module_is_both_offered_and_left_out_and_each_is_listed_once() -> None:
    listed = yaml.safe_load(Path(require.__file__).with_name("modules").joinpath("modules.yaml").read_text())
    left_out = [name for each in listed["left_out"] for name in each["modules"]]

    assert set() == require.MODULE_MAP.keys() & require.LEFT_OUT_MODULES.keys()
    assert len(left_out) == len(set(left_out))


@pytest.mark.parametrize("module", require.LEFT_OUT_MODULES)
def test_a_module_that_is_left_out_says_why_and_what_serves_instead(module: str) -> None:
    why, instead = require.LEFT_OUT_MODULES[module]

    assert (f"the module {module!r} is not available to hooks: {why}", instead) == require.missing_module(module)
    assert why
    assert instead


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("os", "context.webtask.secrets"),
        ("os.path", "context.webtask.secrets"),
        ("logging.handlers", "console.log"),
        ("lodash", "itertools"),
        ("axios", "requests"),
        ("urllib.request", "requests"),
        ("http.client", "requests"),
        ("moment", "zoneinfo"),
        ("crypto", "hashlib"),
        ("pickle", "json"),
        ("numpy.linalg", "statistics"),
        ("querystring", "urllib.parse"),
        ("auth0", "requests"),
        ("google.cloud.storage", "requests"),
        ("email.mime.text", "requests"),
        ("urllib", "write import urllib.parse"),
        ("email", "write import email.utils"),
        ("json.decoder", "write import json: it offers JSONDecodeError, JSONEncoder, dumps, loads"),
    ],
)
def test_the_hint_names_what_serves(importer: Any, module: str, said: str) -> None:
    with pytest.raises(ModuleNotFoundError, match="is not available to hooks") as caught:
        importer.require(module)

    assert said in str(caught.value)
    assert said in require.check_import(module, None)[1]
    assert ". ".join(require.missing_module(module)) == str(caught.value)


def test_a_mapped_module_is_not_missing() -> None:
    assert [None] * len(require.MODULE_MAP) == [require.missing_module(name) for name in require.MODULE_MAP]


def test_a_name_left_out_of_a_mapped_module_says_what_serves() -> None:
    message, hint = require.check_import("typing", "get_type_hints")

    assert "a hook's typing does not offer 'get_type_hints'" == message
    assert "it evaluates annotations; dataclasses.fields tells the fields of a dataclass" == hint


def test_a_name_that_is_left_out_of_a_module_is_not_offered_by_it() -> None:
    for module, entry in require.MODULE_MAP.items():
        assert set() == entry.get("without", {}).keys() & require.names_of(module)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import json", "json"),
        ("import json as j", "j"),
        ("import urllib.parse as p", "p"),
        ("from urllib import parse", "parse"),
        ("from urllib import parse as p", "p"),
    ],
)
def test_an_import_gives_the_facade(importer: Any, code: str, name: str) -> None:
    module = "json" if "json" in code else "urllib.parse"

    assert imported(code, importer)[name] is importer.require(module)


def test_a_dotted_import_gives_the_package_with_that_one_module(importer: Any) -> None:
    package = imported("import urllib.parse", importer)["urllib"]

    assert package.parse is importer.require("urllib.parse")
    assert offered_by(package) == ["parse"]


def test_a_module_within_a_mapped_one_is_found_by_every_form(importer: Any) -> None:
    inner, outer = importer.require("collections.abc"), importer.require("collections")

    assert inner is outer.abc is imported("from collections import abc", importer)["abc"]
    assert inner is imported("import collections.abc as found", importer)["found"]
    assert outer is imported("import collections.abc", importer)["collections"]
    assert require.check_import("collections", "abc") is None


def test_from_imports_give_the_names(importer: Any) -> None:
    found = imported("from json import dumps, loads as read\nfrom urllib.parse import quote", importer)

    assert ('{"a":1}', {"a": 1}, "a%20b") == (
        found["dumps"]({"a": 1}, separators=(",", ":")),
        found["read"]('{"a":1}'),
        found["quote"]("a b"),
    )


@pytest.mark.parametrize(
    "code",
    [
        "from json import decoder",
        "from json import codecs",
        "from json import __builtins__",
        "from urllib import request",
        "from re import enum",
        "from json import _title",
    ],
)
def test_a_name_that_is_not_offered_is_not_there(importer: Any, code: str) -> None:
    """The interpreter itself looks for `json.decoder` in its own table of modules when an import lacks a name."""
    _, module, _, name = code.split()
    assert require.check_import(module, name) is not None
    if name != "_title":  # the compiler refuses it
        with pytest.raises(ImportError):
            imported(code, importer)


def test_a_star_import_gives_no_private_name() -> None:
    """The policy refuses it; the interpreter would take what `__dict__` holds."""
    assert require.check_import("json", "*") is not None


@pytest.mark.parametrize("code", ["from . import json", "from .json import loads", "from .. import x"])
def test_a_relative_import_is_refused(importer: Any, code: str) -> None:
    namespace = {"__builtins__": {"__import__": importer.import_}, "__name__": "hook", "__package__": "json"}
    with pytest.raises(ImportError, match="a hook is one file"):
        exec(code, namespace)


@pytest.mark.parametrize("module", ["time", "_strptime", "datetime", "re"])
def test_c_code_that_imports_by_itself_is_given_nothing(importer: Any, module: str) -> None:
    assert importer.import_(module, {}, {}, [], 0) is None


def test_c_code_is_given_nothing_else_either(importer: Any) -> None:
    with pytest.raises(ModuleNotFoundError):
        importer.import_("os", {}, {}, [], 0)


@pytest.mark.parametrize("module", ["time", "datetime", "json"])
def test_an_empty_list_is_no_way_to_a_module(importer: Any, module: str) -> None:
    """`__import__(name, …, [])` is how C asks; a facade is all that could come of it."""
    found = importer.import_(module, {}, {}, [], 0)

    assert found is None or isinstance(found, Facade)


def test_names_of_the_map_are_spelled_once() -> None:
    for entry in require.MODULE_MAP.values():
        assert len(set(entry["names"])) == len(entry["names"])
        assert not [name for name in entry["names"] if name.startswith("_")]


def test_check_import_agrees_with_what_an_import_does() -> None:
    assert require.check_import("urllib", "parse") is None
    assert require.check_import("json", "dumps") is None
    message, hint = require.check_import("json", "dump")
    assert (message, hint) == ("a hook's json does not offer 'dump'", "a hook has no files; use dumps")
    message, hint = require.check_import("json", "parse")
    assert hint == "it offers JSONDecodeError, JSONEncoder, dumps, loads"
    assert require.check_import("urllib", "parse") is None
    assert "use requests" == require.check_import("urllib", "request")[1]
    assert "import the module by its name" == require.check_import(".json", "loads")[1]
