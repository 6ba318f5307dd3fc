"""Each layer alone, in a child that puts on just that one and then tries: once without it, once with it."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import landlock, lockdown, seccomp, wire

DEEDS = Path(__file__).with_name("deeds.py")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has root to give up")
OPEN_FILES = ("no_new_privs", "landlock")
FILTER = ("no_new_privs", "seccomp")


def _abi() -> int:
    try:
        return landlock.version()
    except OSError:
        return 0


def test_the_wall_is_built_of_the_named_layers_in_their_order() -> None:
    assert [layer.name for layer in lockdown.LAYERS] == list(wire.LAYER_NAMES)


def test_every_layer_is_put_on_somewhere() -> None:
    assert all(layer.zygote or layer.worker for layer in lockdown.LAYERS)


def test_the_filter_comes_last_and_after_what_it_needs() -> None:
    order = list(wire.LAYER_NAMES)

    assert order[-1] == "seccomp"
    assert order.index("no_new_privs") < order.index("landlock")
    assert order.index("unprivileged") < order.index("namespaces") < order.index("empty_root")
    assert order.index("unprivileged") < order.index("dumpable")  # a change of uid resets it
    assert order.index("capabilities") < order.index("parent_death")


@pytest.mark.parametrize("name", wire.LAYER_NAMES)
def test_a_layer_that_fails_ends_the_process_and_names_itself(in_child: Callable[..., Any], name: str) -> None:
    status, report = in_child("fail", failing=name, allowed=[])

    assert (wire.LAYER_EXIT + wire.LAYER_NAMES.index(name), None) == (status, report)


def test_a_layer_that_the_operator_allows_to_miss_may_fail(in_child: Callable[..., Any]) -> None:
    assert (0, "went on") == in_child("fail", failing="landlock", allowed=["landlock"])


def test_another_layer_being_allowed_to_miss_changes_nothing(in_child: Callable[..., Any]) -> None:
    status, _ = in_child("fail", failing="landlock", allowed=["seccomp"])

    assert wire.LAYER_EXIT + wire.LAYER_NAMES.index("landlock") == status


@needs_root
def test_unprivileged_gives_up_every_id_and_group_of_root(in_child: Callable[..., Any]) -> None:
    _, without = in_child("ids")
    _, after = in_child("ids", "unprivileged")

    assert [0] * 6 == without[:6]
    assert [61_061] * 6 == after


@needs_root
def test_unprivileged_cannot_be_undone(in_child: Callable[..., Any]) -> None:
    assert (0, "done") == in_child("become_root")
    assert (0, "EPERM") == in_child("become_root", "unprivileged")


def test_namespaces_make_it_the_first_process_that_sees_no_other(in_child: Callable[..., Any]) -> None:
    _, (pid, parent, _) = in_child("see_processes", outside=os.getpid())
    _, alone = in_child("see_processes", "namespaces", outside=os.getpid())

    assert pid != 1
    assert parent != 0
    assert [1, 0, "ESRCH"] == alone


def test_namespaces_leave_no_network_to_route_to(in_child: Callable[..., Any]) -> None:
    assert (0, "done") == in_child("route_to_loopback")
    assert (0, "ENETUNREACH") == in_child("route_to_loopback", "namespaces")


def test_namespaces_leave_the_host_s_interfaces(in_child: Callable[..., Any]) -> None:
    _, inside = in_child("see_network", "namespaces")

    assert ["lo"] == [name for name in inside if name == "lo" or name.startswith(("e", "w"))]


def test_the_empty_root_holds_no_file_and_takes_none(in_child: Callable[..., Any]) -> None:
    _, before = in_child("see_files", "namespaces")
    status, after = in_child("see_files", "namespaces", "empty_root")

    assert "/proc" in before["exist"]
    assert before["root"]
    assert status == 0
    assert {"exist": [], "root": [], "read-only": True} == {key: after[key] for key in after if key != "make"}
    assert after["make"] in ("ENOENT", "EROFS")


def test_the_environment_is_emptied_for_python_and_for_c(in_child: Callable[..., Any]) -> None:
    _, (before, before_c) = in_child("read_environment")

    assert ("secret", "secret") == (before["PLANTED"], before_c)
    assert (0, [{}, ""]) == in_child("read_environment", "environment")


def test_without_capabilities_a_namespace_of_its_own_gives_no_power(in_child: Callable[..., Any]) -> None:
    """A user namespace makes its first process all-mighty inside; the layer takes that back."""
    assert (0, ["done", True]) == in_child("name_host", "namespaces")
    assert (0, ["EPERM", False]) == in_child("name_host", "namespaces", "capabilities")


def test_a_process_that_is_not_dumpable_cannot_be_looked_into_by_its_own_user(in_child: Callable[..., Any]) -> None:
    assert (0, ["done", True]) == in_child("be_looked_into")
    assert (0, ["EACCES", False]) == in_child("be_looked_into", "dumpable")


@pytest.mark.skipif(_abi() < 1, reason="this kernel has no landlock")
def test_no_new_privs_is_what_landlock_waits_for(in_child: Callable[..., Any]) -> None:
    assert (0, [0, "EPERM"]) == in_child("see_no_new_privs")
    assert (0, [1, "done"]) == in_child("see_no_new_privs", "no_new_privs")


def test_all_descriptors_are_closed_but_the_channel(in_child: Callable[..., Any]) -> None:
    _, before = in_child("see_descriptors")

    assert {0, 1, 2, 3} <= set(before)
    assert (0, [3]) == in_child("see_descriptors", "descriptors")


def test_a_limit_cannot_be_raised_again(in_child: Callable[..., Any]) -> None:
    assert (0, ["done", "done"]) == in_child("raise_limit")
    assert (0, ["done", "ValueError"]) == in_child("raise_limit", "rlimits")


def test_limits_stop_new_processes(in_child: Callable[..., Any]) -> None:
    assert (0, "done") == in_child("make_process")
    assert (0, "EAGAIN") == in_child("make_process", "rlimits")


def test_limits_turn_too_much_memory_into_a_memory_error(in_child: Callable[..., Any]) -> None:
    assert (0, "done") == in_child("take_memory", size=1 << 30)
    assert (0, "MemoryError") == in_child("take_memory", "rlimits", size=1 << 30)


def test_limits_leave_the_memory_that_was_promised(in_child: Callable[..., Any]) -> None:
    assert (0, "done") == in_child("take_memory", "rlimits", size=48 << 20)


def test_limits_stop_writing_into_a_file_that_is_open(in_child: Callable[..., Any]) -> None:
    assert (0, "done") == in_child("write_file")
    assert (0, "EFBIG") == in_child("write_file", "rlimits")


def test_limits_stop_new_descriptors(in_child: Callable[..., Any]) -> None:
    assert (0, "done") == in_child("copy_descriptor")
    assert (0, "EMFILE") == in_child("copy_descriptor", "rlimits")


def test_limits_bound_what_else_can_be_used_up(in_child: Callable[..., Any]) -> None:
    _, limits = in_child("read_limits", "rlimits")

    assert [0, 0] == limits["RLIMIT_CORE"]
    assert [0, 0] == limits["RLIMIT_MEMLOCK"]
    assert [0, 0] == limits["RLIMIT_MSGQUEUE"]
    assert [lockdown.STACK_BYTES] * 2 == limits["RLIMIT_STACK"]


def test_processor_time_that_is_used_up_ends_the_process_by_the_signal_that_says_so(
    in_child: Callable[..., Any],
) -> None:
    """The engine tells SIGXCPU (time) from SIGKILL (memory): with equal soft and hard limits only SIGKILL is sent."""
    status, report = in_child("burn", "rlimits")

    assert (-signal.SIGXCPU, None) == (status, report)


def test_a_limit_that_is_already_tighter_does_not_end_it_nameless(in_child: Callable[..., Any]) -> None:
    """An operator's `ulimit -s` below ours: either it is kept, or the layer names itself."""
    status, _ = in_child("limit_below", kind="RLIMIT_STACK", value=4 << 20)

    assert status in (0, wire.LAYER_EXIT + wire.LAYER_NAMES.index("rlimits"))


@pytest.mark.parametrize(("layers", "answer"), [([], b"alive"), (["parent_death"], b"")])
def test_it_dies_with_its_parent(layers: Any, answer: Any) -> None:
    """Its parent is killed; then it is asked whether it lives."""
    report, writing = os.pipe()
    command = [sys.executable, "-I", DEEDS, str(writing), "outlive", json.dumps([layers, {}])]
    with subprocess.Popen(command, pass_fds=[writing], stdin=subprocess.PIPE, bufsize=0) as parent:
        os.close(writing)
        assert os.read(report, 5) == b"ready"
        parent.kill()
        os.waitid(os.P_PID, parent.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(BrokenPipeError):
            parent.stdin.write(b"?")

        assert answer == os.read(report, 5)
    os.close(report)


@pytest.mark.skipif(_abi() < 1, reason="this kernel has no landlock")
@pytest.mark.parametrize(("deed", "arguments"), [("open_root", {}), ("open_file", {"path": "/proc/self/status"})])
def test_landlock_opens_nothing(in_child: Callable[..., Any], deed: str, arguments: Any) -> None:
    assert (0, "done") == in_child(deed, **arguments)
    assert (0, "EACCES") == in_child(deed, *OPEN_FILES, **arguments)


@pytest.mark.skipif(_abi() < 4, reason="this kernel's landlock has no network rules")
def test_landlock_connects_to_nothing(in_child: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        assert (0, "done") == in_child("connect", port=port)
        assert (0, "EACCES") == in_child("connect", *OPEN_FILES, port=port)


@pytest.mark.skipif(_abi() < 4, reason="this kernel's landlock has no network rules")
def test_landlock_listens_to_nothing(in_child: Callable[..., Any]) -> None:
    assert (0, "done") == in_child("listen")
    assert (0, "EACCES") == in_child("listen", *OPEN_FILES)


@pytest.mark.skipif(_abi() < 6, reason="this kernel's landlock has no scopes")
def test_landlock_signals_nobody_outside(in_child: Callable[..., Any]) -> None:
    assert (0, "done") == in_child("signal_sibling")
    assert (0, "EPERM") == in_child("signal_sibling", *OPEN_FILES)


@pytest.mark.skipif(_abi() < 6, reason="this kernel's landlock has no scopes")
def test_landlock_reaches_no_abstract_socket_outside(in_child: Callable[..., Any]) -> None:
    name = f"hookcell-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name)
        server.listen()

        assert (0, "done") == in_child("connect_abstract", name=name)
        assert (0, "EPERM") == in_child("connect_abstract", *OPEN_FILES, name=name)


def test_the_filter_kills_over_a_harmless_call_that_is_not_on_its_list(in_child: Callable[..., Any]) -> None:
    assert (0, True) == in_child("ask_parent")
    assert (-signal.SIGSYS, None) == in_child("ask_parent", *FILTER)


@pytest.mark.parametrize("deed", ["make_socket", "make_process"])
def test_the_filter_kills_over_sockets_and_processes(in_child: Callable[..., Any], deed: str) -> None:
    assert (0, "done") == in_child(deed)
    assert (-signal.SIGSYS, None) == in_child(deed, *FILTER)


def test_the_filter_refuses_to_open_and_lets_it_live(in_child: Callable[..., Any]) -> None:
    assert (0, "done") == in_child("open_root")
    assert (0, "EPERM") == in_child("open_root", *FILTER)


def test_the_filter_refuses_memory_that_could_be_executed(in_child: Callable[..., Any]) -> None:
    code = mmap.PROT_READ | mmap.PROT_EXEC
    data = mmap.PROT_READ | mmap.PROT_WRITE

    assert (0, "done") == in_child("map_memory", protection=code)
    assert (0, "EPERM") == in_child("map_memory", *FILTER, protection=code)
    assert (0, "done") == in_child("map_memory", *FILTER, protection=data)


def test_the_filter_leaves_reading_and_writing_on_the_channel_alone(in_child: Callable[..., Any]) -> None:
    assert (0, ["done", "done", "done"]) == in_child("use_other_descriptor")
    assert (0, ["EBADF", "EBADF", "done"]) == in_child("use_other_descriptor", *FILTER)


@pytest.mark.parametrize("name", sorted(seccomp.REFUSED))
def test_the_filter_answers_what_the_library_tries_by_itself_with_an_error(
    in_child: Callable[..., Any], name: str
) -> None:
    assert (0, "EPERM") == in_child("call_number", *FILTER, number=seccomp.REFUSED[name])


def test_the_filter_needs_no_new_privs(in_child: Callable[..., Any]) -> None:
    """Without it an unprivileged process may not filter itself, and the lockdown ends it by name."""
    status, _ = in_child("ask_parent", "seccomp")

    assert wire.LAYER_EXIT + wire.LAYER_NAMES.index("seccomp") == status


def test_the_filter_works_on_its_own_number_of_a_channel() -> None:
    assert lockdown.CHANNEL == seccomp.CHANNEL == 3
