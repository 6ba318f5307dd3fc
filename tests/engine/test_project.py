"""A tenant as code: what a folder may say, and how its faults are told."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.api import retries, shapes
from engine.project import (
    MOST_ATTEMPTS,
    MOST_ORDER,
    MOST_RETRY_MS,
    BadProject,
    Project,
    SourceFile,
    check_points,
    read_project,
    within,
    written,
)
from tenants.records import Retry, RetryOn

HOOK = "hooks:\n  - {name: a, point: p, source: a.py}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.py").write_bytes(b"cb()\r\n# no end")
    return tmp_path


def faults_of(folder: Path, text: str | bytes) -> list[str]:
    (folder / "tenant.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(BadProject) as caught:
        read_project(folder)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_what_is_left_out_is_as_it_is_by_default(folder: Path) -> None:
    (folder / "tenant.yaml").write_text(HOOK)

    expected = SourceFile(name="a", point="p", path="a.py", source="cb()\r\n# no end", line=2)
    assert Project(tenant=None, hooks=(expected,)) == read_project(folder)


def test_everything_can_be_said(folder: Path) -> None:
    (folder / "tenant.yaml").write_text(
        "tenant: acme\nhooks:\n- name: 2026-11-18\n  point: p\n  source: ./a.py\n  enabled: false\n  order: -3\n"
        "  mode: invocation\n  dependencies: {requests: '2.32', yaml: ''}\n"
    )
    (hook,) = read_project(folder).hooks

    assert ("2026-11-18", False, -3, "invocation") == (hook.name, hook.enabled, hook.order, hook.mode)
    assert {"requests": "2.32", "yaml": ""} == hook.dependencies


def test_a_deployment_says_the_mode_only_where_the_file_does(folder: Path) -> None:
    (folder / "tenant.yaml").write_text(HOOK.replace("}", ", mode: null, dependencies: [json]}"))
    (hook,) = read_project(folder).hooks

    assert {
        "name": "a",
        "trigger_id": "p",
        "script": "cb()\r\n# no end",
        "enabled": True,
        "order": 0,
        "dependencies": {"json": ""},
    } == hook.as_body()


def test_every_fault_is_told_at_once_in_order_and_with_its_line(folder: Path) -> None:
    text = (
        "tenant: Acme\n"
        "hook: 3\n"
        "hooks:\n"
        "  - {name: -a, point: p, source: ../x.py}\n"
        "  - nam: b\n"
        "    source: missing.py\n"
        "    enabled: 'yes'\n"
        "    order: true\n"
        "    mode: forever\n"
        "    dependencies: {requests: 2.32}\n"
        "  - 3\n"
        "  - {name: c, name: d, point: p, source: a.py, dependencies: [1, json]}\n"
    )

    assert [
        "tenant.yaml:1: tenant: 'Acme' is no tenant's name (a to z, 0 to 9, hyphens)",
        "tenant.yaml:2: the file: 'hook' is no field; did you mean 'hooks'?",
        "tenant.yaml:4: hooks[0].name: '-a' is no name of a hook: letters, digits, spaces and hyphens, and at both ends a letter or digit",
        "tenant.yaml:4: hooks[0].source: '../x.py': '../x.py' lies outside the folder",
        "tenant.yaml:5: hooks[1].name: it is missing",
        "tenant.yaml:5: hooks[1].point: it is missing",
        "tenant.yaml:5: hooks[1]: 'nam' is no field; did you mean 'name'?",
        "tenant.yaml:6: hooks[1].source: 'missing.py': there is no such file",
        "tenant.yaml:7: hooks[1].enabled: found a text ('yes'); it is true or false",
        "tenant.yaml:8: hooks[1].order: found true or false ('true'); it is a whole number",
        "tenant.yaml:9: hooks[1].mode: found 'forever'; it is tenant or invocation",
        "tenant.yaml:10: hooks[1].dependencies.requests: found a number ('2.32'); it is a text, in quotes if need be",
        "tenant.yaml:11: hooks[2]: found a number ('3'); it is a mapping of name, point, source, enabled, order, mode, retry, dependencies",
        "tenant.yaml:12: hooks[3].dependencies[0]: found a number ('1'); it is a text, in quotes if need be",
        "tenant.yaml:12: hooks[3]: 'name' stands there twice",
    ] == faults_of(folder, text)


def test_a_name_that_two_hooks_have_is_told_with_both_lines(folder: Path) -> None:
    text = HOOK + "  - {name: a, point: q, source: a.py}\n"

    assert ["tenant.yaml:3: hooks[1].name: 'a' is the name of the hook at line 2 too"] == faults_of(folder, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "[]",
        "hooks: 3",
        "3",
        "hooks: [[]]",
        "tenant: acme",
        "hooks: {a: b}",
        "? [a]\n: b",
        "\0",
        "a: b: c",
    ],
)
def test_what_is_no_such_file_is_one_fault(folder: Path, text: str) -> None:
    assert 1 <= len(faults_of(folder, text)) <= 2


def test_bytes_that_are_no_text_are_a_fault(folder: Path) -> None:
    assert ["tenant.yaml: it is not UTF-8"] == faults_of(folder, b"hooks: \xff")


def test_a_bomb_of_aliases_is_refused_at_once(folder: Path) -> None:
    """A small file that would be ten thousand million names."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    begun = time.perf_counter()
    found = faults_of(folder, "\n".join(lines))

    assert ["tenant.yaml:2: write it out; aliases are not read here"] == found
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize("text", ["[" * 100_000, "hooks: " + "[" * 5_000 + "]" * 5_000, "{a: " * 3_000 + "}" * 3_000])
def test_what_is_nested_deeply_is_refused(folder: Path, text: str) -> None:
    assert ["tenant.yaml: it is nested too deeply"] == faults_of(folder, text)


def test_a_large_file_is_not_read(folder: Path) -> None:
    assert ["tenant.yaml: it is larger than 262144 bytes"] == faults_of(folder, "#" * 300_000)


def test_many_faults_are_told_up_to_a_number(folder: Path) -> None:
    found = faults_of(folder, "hooks:\n" + "- 3\n" * 100)

    assert (51, "tenant.yaml: and 50 more") == (len(found), found[-1])


@pytest.mark.parametrize("path", ["../a.py", "/etc/hostname", ".", "", "hooks/../../a.py", "a\0.py"])
def test_a_path_that_leads_out_of_the_folder_is_refused(folder: Path, path: str) -> None:
    with pytest.raises(ValueError, match="folder"):
        within(folder, path)


def test_a_link_that_leads_out_of_the_folder_is_refused(folder: Path) -> None:
    (folder / "out").symlink_to("/etc")

    assert ["tenant.yaml:2: hooks[0].source: 'out/hostname': 'out/hostname' lies outside the folder"] == faults_of(
        folder, HOOK.replace("a.py", "out/hostname")
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\xff", "it is not UTF-8: byte 0xff at line 1"), (b"#" * ((1 << 20) + 1), "it is larger than 1048576 bytes")],
)
def test_a_source_that_cannot_be_one_is_told(folder: Path, content: bytes, said: str) -> None:
    (folder / "a.py").write_bytes(content)

    assert [f"tenant.yaml:2: hooks[0].source: 'a.py': {said}"] == faults_of(folder, HOOK)


def test_a_byte_order_mark_is_no_part_of_a_source(folder: Path) -> None:
    (folder / "a.py").write_bytes(b"\xef\xbb\xbfcb()")
    (folder / "tenant.yaml").write_bytes(b"\xef\xbb\xbf" + HOOK.encode())

    assert "cb()" == read_project(folder).hooks[0].source


def test_a_folder_without_the_file_says_how_one_is_made(tmp_path: Path) -> None:
    with pytest.raises(BadProject, match="hookcell init"):
        read_project(tmp_path)


def test_a_point_that_the_server_does_not_have_is_told_with_line_and_nearest(folder: Path) -> None:
    (folder / "tenant.yaml").write_text(HOOK)
    project = read_project(folder)

    check_points(folder, project, ["p"])
    with pytest.raises(BadProject, match=r"tenant.yaml:2: there is no extensibility point 'p'; did you mean 'pp'\?"):
        check_points(folder, project, ["pp", "other"])


def retry_of(folder: Path, said: str) -> Retry:
    (folder / "tenant.yaml").write_text(HOOK.replace("}", f", retry: {said}}}"))
    (hook,) = read_project(folder).hooks
    return hook.retry


def test_a_retry_says_what_it_says_and_the_rest_is_as_by_default(folder: Path) -> None:
    """`on` is a name here, though YAML has it as a truth value."""
    assert Retry() == retry_of(folder, "{}") == retry_of(folder, "null") == Retry(attempts=1)
    assert Retry(attempts=5, on=("raised", "timeout")) == retry_of(folder, "{attempts: 5, on: [timeout, raised]}")
    assert Retry(on=(), first_ms=1, most_ms=86_400_000) == retry_of(folder, "{on: [], first_ms: 1, most_ms: 86400000}")


def test_a_deployment_says_the_retry_only_where_the_file_does(folder: Path) -> None:
    (folder / "tenant.yaml").write_text(HOOK.replace("}", ", retry: {attempts: 2, on: [crashed]}}"))
    (hook,) = read_project(folder).hooks

    assert {"attempts": 2, "on": ("crashed",), "first_ms": 1_000, "most_ms": 3_600_000} == hook.as_body()["retry"]
    (folder / "tenant.yaml").write_text(HOOK)
    assert "retry" not in read_project(folder).hooks[0].as_body()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("5", "found a number ('5'); it is a mapping of attempts, on, first_ms, most_ms"),
        ("{attempts: 21}", "attempts: found a number ('21'); it is 1 to 20"),
        ("{attempts: 0}", "attempts: found a number ('0'); it is 1 to 20"),
        ("{attempts: two}", "attempts: found a text ('two'); it is a whole number"),
        ("{first_ms: 86400001}", "first_ms: found a number ('86400001'); it is 1 to 86400000"),
        ("{on: timeout}", "on: found a text ('timeout'); it is a list"),
        ("{on: [ok]}", "on: 'ok' is no end; there are denied, raised"),
        ("{on: [time_out]}", "on: 'time_out' is no end; did you mean 'timeout'?"),
        ("{on: [1]}", "on[0]: found a number ('1'); it is a text"),
        ("{after: 3}", "'after' is no field; there are attempts, on, first_ms, most_ms"),
    ],
)
def test_a_retry_that_no_server_takes_is_told_here(folder: Path, said: str, told: str) -> None:
    (fault,) = faults_of(folder, HOOK.replace("}", f", retry: {said}}}"))

    assert fault.startswith("tenant.yaml:2: hooks[0].retry")
    assert told in fault


def test_the_bounds_of_a_retry_are_the_servers() -> None:
    assert (MOST_ATTEMPTS, MOST_RETRY_MS) == (retries.MOST_ATTEMPTS, retries.MOST_MS)


RETRIES = st.builds(
    Retry,
    attempts=st.integers(1, 20),
    on=st.sets(st.sampled_from(get_args(RetryOn))).map(
        lambda ends: tuple(end for end in get_args(RetryOn) if end in ends)
    ),
    first_ms=st.integers(1, 86_400_000),
    most_ms=st.integers(1, 86_400_000),
)
NAMES = st.from_regex(r"[a-zA-Z0-9]([ \-a-zA-Z0-9]{0,20}[a-zA-Z0-9])?", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), max_size=40)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_what_is_written_is_read_as_it_was(data: Any) -> None:
    """Names that look like numbers, dates or null; sources with any line end."""
    names = data.draw(st.lists(NAMES, unique=True, max_size=4))
    hooks = tuple(
        SourceFile(
            name=name,
            point=data.draw(NAMES),
            path=f"hooks/{index}.py",
            source=data.draw(TEXTS.filter(str.strip)),
            enabled=data.draw(st.booleans()),
            order=data.draw(st.integers(-1000, 1000)),
            mode=data.draw(st.sampled_from([None, "tenant", "invocation"])),
            retry=data.draw(st.none() | RETRIES) or Retry(),
            dependencies=data.draw(st.dictionaries(NAMES, st.sampled_from(["", "2.32", "null"]), max_size=3)),
        )
        for index, name in enumerate(names)
    )
    project = Project(tenant=data.draw(st.sampled_from([None, "acme", "0"])), hooks=hooks)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "hooks").mkdir()
        (folder / "tenant.yaml").write_bytes(written(project).encode())
        for hook in hooks:
            (folder / hook.path).write_bytes(hook.source.encode())
        read = read_project(folder)

    assert project.tenant == read.tenant
    assert [hook.as_body() for hook in hooks] == [hook.as_body() for hook in read.hooks]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"", "it is empty"),
        (b" \r\n\n", "it is empty"),
        (b"\xef\xbb\xbf", "it is empty"),
        (b"cb()\n# \0", "it holds a NUL character at line 2"),
    ],
)
def test_a_source_that_no_server_takes_is_told_here(folder: Path, source: bytes, said: str) -> None:
    (folder / "a.py").write_bytes(source)

    assert [f"tenant.yaml:2: hooks[0].source: 'a.py': {said}"] == faults_of(folder, HOOK)


@pytest.mark.parametrize("order", [10**20, -(10**20), MOST_ORDER + 1, -MOST_ORDER - 1])
def test_an_order_that_no_server_takes_is_told_here(folder: Path, order: int) -> None:
    text = HOOK.replace("}", f", order: {order}}}")

    assert [f"tenant.yaml:2: hooks[0].order: found a number ('{order}'); the most is 1000000"] == faults_of(
        folder, text
    )


def test_the_largest_order_is_the_servers(folder: Path) -> None:
    (folder / "tenant.yaml").write_text(HOOK.replace("}", f", order: {shapes.ORDER}}}"))

    assert [MOST_ORDER] == [hook.order for hook in read_project(folder).hooks]


def test_an_order_of_more_digits_than_are_read_is_a_fault(folder: Path) -> None:
    (fault,) = faults_of(folder, HOOK.replace("}", f", order: {'9' * 5_000}}}"))

    assert fault.endswith("it is a whole number")
