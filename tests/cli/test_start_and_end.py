"""A signal at any moment of the start ends it: nothing hangs, nothing is left, and the next start has everything."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import HOOKCELL, PATIENCE_S, environment, serving

from engine.api.app import _to_its_end
from tenants import migrating
from tenants.errors import Unavailable
from tenants.store import Store


@contextlib.contextmanager
def starting(data: Path) -> Iterator[subprocess.Popen[str]]:
    """`hookcell serve`, which has only just begun; killed if it is still there at the end."""
    process = subprocess.Popen(
        [HOOKCELL, "serve", "--port", "0", "--data", data],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _until(reached: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not reached():
        assert process.poll() is None
        assert time.monotonic() < end
        os.sched_yield()


def _has_open(process: subprocess.Popen[str], file: Path) -> bool:
    found = set()
    for each in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(each.readlink())
    return file in found


def _children(process: subprocess.Popen[str]) -> list[str]:
    return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()


MOMENTS: dict[str, Callable[[Any, Path], bool]] = {
    "port taken": lambda process, _: any(
        link.startswith("socket:") for link in _links(Path(f"/proc/{process.pid}/fd"))
    ),
    "zygote started": lambda process, _: bool(_children(process)),
    "database made": lambda _, data: (data / "hookcell.db").exists(),
    "database locked": lambda _, data: (data / "hookcell.db.lock").exists(),
    "master key made": lambda _, data: (data / "master.key").exists(),
    "token made": lambda _, data: (data / "operator.token").exists(),
}


def _links(folder: Path) -> list[str]:
    found = []
    for each in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(str(each.readlink()))
    return found


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_during_the_start_ends_it(tmp_path: Path, moment: str) -> None:
    """Before it can listen: its status is 0, or the signal's own while nobody of ours hears it yet; no traceback."""
    with starting(tmp_path / "data") as process:
        _until(lambda: MOMENTS[moment](process, tmp_path / "data"), process)
        children = _children(process)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE_S)

    assert process.returncode in ((0, -signal.SIGTERM) if moment == "port taken" else (0,))
    assert "" == err
    assert [] == [child for child in children if Path(f"/proc/{child}").exists()]
    with serving(tmp_path / "data") as server:
        assert 200 == server.ask("GET", "/readyz").status_code


@pytest.mark.parametrize("signals", [1, 3])
def test_a_signal_while_the_database_is_locked_ends_it(tmp_path: Path, signals: int) -> None:
    """It waits for another process's lock: when it gets that, it opens nothing that nobody closes."""
    with serving(tmp_path / "data") as server:
        lock = server.data / "hookcell.db.lock"
        server.stop()
    with lock.open("ab") as held, starting(tmp_path / "data") as process:
        fcntl.flock(held, fcntl.LOCK_EX)
        _until(lambda: _has_open(process, lock), process)
        for _ in range(signals):
            process.send_signal(signal.SIGTERM)
        fcntl.flock(held, fcntl.LOCK_UN)
        out, err = process.communicate(timeout=PATIENCE_S)

    assert (0, "", "") == (process.returncode, out, err)


def test_what_a_thread_has_begun_ends_before_we_do() -> None:
    """Cancelled again and again: it is waited for, and what it raises is nobody's any more."""
    begun, go_on, ended = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        go_on.wait(PATIENCE_S)
        ended.append(True)
        raise ValueError

    async def cancelled() -> list[bool]:
        task = asyncio.create_task(_to_its_end(work))
        await asyncio.to_thread(begun.wait)
        for _ in range(3):
            task.cancel()
            await asyncio.wait({task}, timeout=0)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        return ended

    assert [True] == asyncio.run(cancelled())


def test_a_lock_that_another_process_keeps_is_told_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is a file of its owner's alone: nobody else can keep it."""
    store = Store(f"sqlite:///{tmp_path}/hookcell.db")
    store.open()
    store.close()
    lock = tmp_path / "hookcell.db.lock"
    assert 0o600 == stat.S_IMODE(lock.stat().st_mode)
    monkeypatch.setattr(migrating, "_LOCK_S", 0.1)
    with lock.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match="another process has had "):
            store.open()
    store.open()
    store.close()


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o1777])
def test_a_data_folder_that_others_may_write_to_is_refused(tmp_path: Path, hookcell: Any, mode: int) -> None:
    """With what to do about it; nothing is written there."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(mode)

    for name in ("serve", "migrate"):
        assert f"has mode {mode:04o}, so others could" in hookcell(name, "--data", "data").fault
    assert [] == list((tmp_path / "data").iterdir())
