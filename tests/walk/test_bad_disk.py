"""A full disk and a read-only data folder: clear errors, nothing lost, the server alive."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs takes root")

BIG = "x = 'a'\n" * 8_000  # 64 kB of a source


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of six megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def _client(server: Any) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.operator}"}, timeout=60)


def _put(client: httpx.Client, name: str, source: str) -> httpx.Response:
    path = f"/v1/tenants/acme/hooks/{name}/source"
    return client.put(path, params={"trigger_id": "post-change-password", "enabled": "false"}, content=source)


def _fill(disk: Path) -> Path:
    """Write until nothing more fits."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return ballast


def test_a_full_disk_refuses_writes_clearly_and_loses_nothing(small_disk: Path, serve: Callable[..., Any]) -> None:
    """Reads go on; when there is room again, writes do too, without a restart."""
    server = serve(data=small_disk)
    with _client(server) as client:
        assert client.post("/v1/tenants", json={"name": "acme"}).status_code == 201
        assert _put(client, "before", BIG + "cb()\n").status_code == 201
        ballast = _fill(small_disk)
        refused = [_put(client, f"during-{number}", BIG + "cb()\n") for number in range(60)]
        told = next(answer for answer in refused if answer.status_code != 201)
        alive = client.get("/healthz").status_code
        listed = client.get("/v1/tenants/acme/hooks").json()["hooks"]
        ballast.unlink()
        after = _put(client, "after", BIG + "cb()\n").status_code
        names = {hook["name"] for hook in client.get("/v1/tenants/acme/hooks?limit=100").json()["hooks"]}

    acknowledged = {f"during-{number}" for number, answer in enumerate(refused) if answer.status_code == 201}
    assert (503, "store_unavailable") == (told.status_code, told.json()["errorCode"])
    assert "full" in told.json()["message"]
    assert {201, 503} >= {answer.status_code for answer in refused}
    assert 200 == alive
    assert "before" in {hook["name"] for hook in listed}
    assert 201 == after
    assert {"before", "after"} | acknowledged == names
    assert 0 == server.stop()


def test_a_read_only_data_folder_ends_the_start_with_one_line(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    ended = subprocess.run(
        [Path(sys.executable).with_name("hookcell"), "serve", "--port", "0", "--data", small_disk],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert 2 == ended.returncode
    assert 1 == ended.stderr.count("\n"), ended.stderr
    assert "cannot be written" in ended.stderr
