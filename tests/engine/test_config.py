"""Settings: where they come from, which goes first, and what is said of those that cannot be used."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from engine.app import zygote_setting
from engine.config import Config
from engine.egress.policy import EgressPolicy
from engine.errors import BadConfig
from sandbox.wire import LAYER_NAMES

SETTINGS = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("HOOKCELL_"):
            monkeypatch.delenv(name)


@pytest.fixture
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | bytes], Path]:
    """`config_file(text)`: a file with that text, named by HOOKCELL_CONFIG."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "hookcell.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        monkeypatch.setenv("HOOKCELL_CONFIG", str(path))
        return path

    return write


def test_the_defaults_hold_together() -> None:
    """An engine without any setting starts."""
    config = Config()

    assert ("tenant", 20_000, frozenset()) == (config.mode, config.wall_ms, config.allow_missing_layers)
    assert (20_000, 262_144, 65_536) == (config.limits.wall_ms, config.limits.result_bytes, config.limits.log_bytes)


def test_a_setting_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers, words and lists."""
    monkeypatch.setenv("HOOKCELL_WALL_MS", "1234")
    monkeypatch.setenv("HOOKCELL_MODE", "invocation")
    monkeypatch.setenv("HOOKCELL_ALLOW_MISSING_LAYERS", '["landlock"]')
    config = Config()

    assert (1234, "invocation", {"landlock"}) == (config.wall_ms, config.mode, config.allow_missing_layers)


def test_a_setting_comes_from_the_file(config_file: Any) -> None:
    """YAML, by the names of the settings."""
    config_file("wall_ms: 4321\nallow_missing_layers: [landlock, seccomp]\n")
    config = Config()

    assert (4321, {"landlock", "seccomp"}) == (config.wall_ms, config.allow_missing_layers)


def test_arguments_go_before_the_environment_before_the_file(config_file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest wins; what it does not say comes from the next."""
    config_file("wall_ms: 1\nworkers: 11\nreserve: 2\nwaiting: 3\n")
    monkeypatch.setenv("HOOKCELL_WALL_MS", "10")
    monkeypatch.setenv("HOOKCELL_WORKERS", "20")
    config = Config(wall_ms=100)

    assert (100, 20, 2, 3, 5_000) == (config.wall_ms, config.workers, config.reserve, config.waiting, config.wait_ms)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}\n"])
def test_an_empty_file_says_nothing(config_file: Any, text: str) -> None:
    """It is no fault either."""
    config_file(text)

    assert 20_000 == Config().wall_ms


def test_a_config_is_frozen() -> None:
    """No limit changes while an engine runs."""
    config = Config()
    with pytest.raises(ValidationError, match="frozen"):
        config.wall_ms = 1

    assert 20_000 == config.wall_ms


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("- wall_ms\n", "not a mapping"),
        ("wall_ms\n", "not a mapping"),
        ("wall_ms: [\n", "cannot be read as YAML"),
        ("!!python/object/apply:os.system [id]\n", "cannot be read as YAML"),
        ("a: 2020-99-99\n", "cannot be read as YAML"),
        ("a: " + "[" * 5_000 + "]" * 5_000, "cannot be read as YAML"),
        (b"\xff\xfe\xfa", "cannot be read as YAML"),
        ("wal_ms: 1\n", "wal_ms"),
        ("1: 2\n", "1"),
        ("wall_ms: many\n", "wall_ms"),
        ("wall_ms: 2020-01-01\n", "wall_ms"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_error(config_file: Any, text: str | bytes, part: str) -> None:
    """Whatever is in it, the operator reads what is wrong, not a traceback."""
    config_file(text)
    with pytest.raises(BadConfig, match=part):
        Config()


def test_a_file_that_is_not_there_is_told_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And by the setting that names it."""
    for path in (tmp_path / "missing.yaml", tmp_path):
        monkeypatch.setenv("HOOKCELL_CONFIG", str(path))
        with pytest.raises(BadConfig, match=r"HOOKCELL_CONFIG names .*" + path.name):
            Config()


def test_every_fault_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One look, one correction: each with the setting and what was found."""
    monkeypatch.setenv("HOOKCELL_WALL_MS", "soon")
    monkeypatch.setenv("HOOKCELL_WORKERS", "0")
    monkeypatch.setenv("HOOKCELL_MODE", "forever")
    with pytest.raises(BadConfig) as caught:
        Config(memory_bytes=1)

    assert all(part in str(caught.value) for part in ("wall_ms", "soon", "workers", "mode", "forever", "memory_bytes"))


def test_faults_of_different_kinds_are_told_at_once_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is no setting does not hide a value that cannot be used."""
    monkeypatch.setenv("HOOKCELL_WALL_MSEC", "5")
    monkeypatch.setenv("HOOKCELL_WORKERS", "none")
    with pytest.raises(BadConfig) as caught:
        Config()

    assert all(part in str(caught.value) for part in ("HOOKCELL_WALL_MSEC", "workers"))


def test_settings_that_contradict_each_other_are_told_at_once_too() -> None:
    """Two contradictions, one error."""
    with pytest.raises(BadConfig) as caught:
        Config(reserve=5, workers=4, allow_missing_layers=["moat"])

    assert all(part in str(caught.value) for part in ("reserve is 5", "moat"))


def test_an_unknown_name_in_the_environment_is_refused_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that is misspelt would otherwise silently not hold."""
    monkeypatch.setenv("HOOKCELL_WALMS", "5")
    with pytest.raises(BadConfig, match=r"HOOKCELL_WALMS.*did you mean HOOKCELL_WALL_MS\?"):
        Config()


def test_names_of_other_programs_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only our prefix is ours."""
    monkeypatch.setenv("WALL_MS", "5")
    monkeypatch.setenv("HOOKCELLS_WALL_MS", "5")

    assert 20_000 == Config().wall_ms


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("127.0.0.1", ("127.0.0.1",)),
        (" a.example, b.example:81 ", ("a.example", "b.example:81")),
        ('["a.example", "b.example"]', ("a.example", "b.example")),
        ("[::1]:8080, 10.0.0.0/8", ("[::1]:8080", "10.0.0.0/8")),
        ("", ()),
        ("[]", ()),
    ],
)
def test_a_list_in_the_environment_is_names_or_json(
    monkeypatch: pytest.MonkeyPatch, value: str, read: tuple[str, ...]
) -> None:
    monkeypatch.setenv("HOOKCELL_EGRESS_EXCEPTIONS", value)

    assert read == Config().egress_exceptions


def test_ports_in_a_file_may_be_numbers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "hookcell.yaml").write_text("egress_ports: [443, 8443, 9000-9010]\n")
    monkeypatch.setenv("HOOKCELL_CONFIG", str(tmp_path / "hookcell.yaml"))

    assert ("443", "8443", "9000-9010") == Config().egress_ports


@pytest.mark.parametrize("value", ["[landlock]", "{", '"landlock"', "3", "[" * 100_000])
def test_a_list_that_is_not_one_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Named by its setting."""
    monkeypatch.setenv("HOOKCELL_ALLOW_MISSING_LAYERS", value)
    with pytest.raises(BadConfig, match=r"(?i)allow_missing_layers"):
        Config()


def test_an_unknown_layer_is_refused_with_those_there_are() -> None:
    """Allowing a misspelt layer to be missing allows nothing."""
    with pytest.raises(BadConfig) as caught:
        Config(allow_missing_layers=["landlock", "moat"])

    assert "moat" in str(caught.value)
    assert all(name in str(caught.value) for name in LAYER_NAMES)


@pytest.mark.parametrize("name", LAYER_NAMES)
def test_every_layer_may_be_allowed_to_be_missing(name: str) -> None:
    """By its name, and it reaches the zygote."""
    assert {name} == zygote_setting(Config(allow_missing_layers=[name])).allow_missing_layers


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source_bytes", 0),
        ("source_bytes", (1 << 20) + 1),
        ("arguments_bytes", 1),
        ("result_bytes", 1 << 30),
        ("log_bytes", -1),
        ("wall_ms", 0),
        ("wall_ms", 600_001),
        ("memory_bytes", 0),
        ("mode", "request"),
        ("workers", 0),
        ("reserve", -1),
        ("worker_uid", 0),
        ("no_such_setting", 1),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name: str, value: Any) -> None:
    """What was found stands beside it."""
    with pytest.raises(BadConfig, match=name) as caught:
        Config(**{name: value})

    assert repr(value) in str(caught.value)


def test_a_reserve_over_the_number_of_workers_is_refused() -> None:
    """It could never be filled."""
    with pytest.raises(BadConfig, match="reserve is 5; the most is workers, 4"):
        Config(workers=4, reserve=5)


@pytest.mark.parametrize("name", list(Config.model_fields))
def test_every_setting_stands_in_the_documentation_with_its_default(name: str) -> None:
    """One row of the table each; a default that changes must change there."""
    default = Config.model_fields[name].default
    rows = [line for line in SETTINGS.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{name}` |")]
    listed = isinstance(default, frozenset | tuple)
    shown = json.dumps(list(default)) if listed else "" if default is None else str(default)

    assert 1 == len(rows)
    assert shown == rows[0].split("|")[2].strip()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("egress_hosts", ("api.example.com",), "listed_only is false"),
        ("egress_ports", ("http",), "egress_ports has 'http'"),
        ("egress_exceptions", ("10.0.0.1/8",), "exceptions has '10.0.0.1/8'"),
        ("egress_keep_bodies", "some", "egress_keep_bodies"),
        ("egress_ca_file", "/no/such/file", "/no/such/file cannot be used: No such file or directory"),
        ("egress_ca_file", __file__, "holds no certificates in PEM"),
    ],
)
def test_an_egress_policy_that_cannot_be_one_is_refused_at_the_start(name: str, value: Any, said: str) -> None:
    with pytest.raises(BadConfig, match=re.escape(said)):
        Config(**{name: value})


def test_the_egress_policy_is_what_the_settings_say() -> None:
    policy = Config(
        egress_listed_only=True, egress_hosts=("a.example",), egress_calls=3, egress_at_once=2
    ).egress_policy

    assert (True, ("a.example",), 3, 2) == (policy.listed_only, policy.hosts, policy.calls, policy.at_once)
    assert EgressPolicy() == Config().egress_policy
