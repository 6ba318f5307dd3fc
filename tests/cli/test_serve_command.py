"""`hookcell serve`: one line when it listens, one line and status 2 when it cannot; an end in order."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme
from serving import HOOKCELL, PATIENCE_S, Serving, environment, serving


def test_one_line_says_where_it_listens_and_where_the_token_is(served: Serving) -> None:
    """The real port of port 0, the data folder, the file of the token; never the token."""
    token_file = served.data / "operator.token"

    assert (
        f"hookcell listens at {served.url}; data folder {served.data}; the operator's token is in {token_file}\n"
        == served.line
    )
    assert not served.url.endswith(":0")
    assert served.operator not in served.line
    assert 200 == served.ask("GET", "/readyz").status_code


def test_the_first_start_makes_files_that_only_their_owner_reads(served: Serving) -> None:
    """And the folder they are in."""
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in served.data.iterdir()}

    assert [0o600, 0o600] == [modes["operator.token"], modes["master.key"]]
    assert 0o700 == stat.S_IMODE(served.data.stat().st_mode)


def test_it_ends_in_order_and_the_next_start_has_everything(tmp_path: Path, capfd: Any) -> None:
    """SIGTERM while a request is under way: it is answered; status 0; the same tokens after it."""
    with serving(tmp_path / "data") as server, ThreadPoolExecutor() as pool:
        token = server.tenant("acme")
        path = "/v1/tenants/acme/hooks/h/source?trigger_id=post-change-password"
        under_way = pool.submit(server.ask, "PUT", path, token, content="def hook(user, context, cb): cb()")
        assert 201 == under_way.result(PATIENCE_S).status_code
        assert 0 == server.stop()
    with serving(tmp_path / "data") as again:
        assert 200 == again.ask("GET", "/v1/tenants/acme/hooks/h", token).status_code

    (line,) = capfd.readouterr().err.splitlines()  # of the audit; nothing else
    assert "Create a tenant" == json.loads(line)["what"]


def test_an_interrupt_ends_it_as_well(tmp_path: Path) -> None:
    """Ctrl-C at a terminal."""
    with serving(tmp_path / "data") as server:
        server.process.send_signal(signal.SIGINT)

        assert 0 == server.process.wait(PATIENCE_S)


def test_nothing_is_left_of_it(tmp_path: Path) -> None:
    """Neither the zygote nor a worker outlives it."""
    with serving(tmp_path / "data") as server:
        children = _children(server.process.pid)
        assert children
        server.stop()

    assert [] == [child for child in children if Path(f"/proc/{child}").exists()]


def test_it_speaks_tls(tmp_path: Path, hookcell: Any) -> None:
    """With the certificate and the key that it is given, and not without."""
    authority = trustme.CA()
    cert = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    cert.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    with serving(tmp_path / "data", "--tls-cert", tmp_path / "both.pem", ca_file=tmp_path / "ca.pem") as server:
        assert server.url.startswith("https://127.0.0.1:")
        assert 200 == server.ask("GET", "/healthz").status_code
        plain = server.url.replace("https://", "http://")
        fault = hookcell("hooks", "--server", plain, "--tenant", "t", HOOKCELL_TOKEN="t").fault
        assert f"it may speak https: try {server.url};" in fault


def test_a_database_that_was_put_back_is_for_its_owner_alone_again(tmp_path: Path, hookcell: Any) -> None:
    """Whatever mode its copying gave it, and the files beside it."""
    hookcell("migrate", "--data", "data")
    files = [tmp_path / "data" / name for name in ("hookcell.db", "hookcell.db-wal")]
    for file in files:
        file.touch()
        file.chmod(0o664)
    ran = hookcell("migrate", "--data", "data")

    assert (0, "") == (ran.status, ran.err)
    assert {0o600} == {stat.S_IMODE(file.stat().st_mode) for file in files if file.exists()}


def test_a_database_whose_mode_cannot_be_changed_is_told(tmp_path: Path) -> None:
    """It is another's: here, the kernel's."""
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data/hookcell.db").symlink_to("/proc/self/status")

    assert f"do: chmod 600 {tmp_path}/data/hookcell.db" in refusal(tmp_path)


def refusal(tmp_path: Path, *arguments: str | Path, **more: str) -> str:
    """The one line of a server that does not start."""
    ran = subprocess.run(
        [HOOKCELL, "serve", "--port", "0", "--data", tmp_path / "data", *arguments],
        capture_output=True,
        text=True,
        env=environment(**more),
        timeout=PATIENCE_S,
        check=False,
    )
    assert (2, "") == (ran.returncode, ran.stdout), ran
    assert ran.stderr.startswith("hookcell: ")
    assert 1 == ran.stderr.count("\n"), ran.stderr
    return ran.stderr


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refusal(tmp_path, "--port", str(port))

    assert f"127.0.0.1:{port} cannot be listened at: Address already in use" in said


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_a_host_that_is_not_ours_is_told(tmp_path: Path, host: str) -> None:
    assert f"{host}:0 cannot be listened at" in refusal(tmp_path, "--host", host)


def test_a_data_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")

    assert "the data folder" in refusal(tmp_path)
    assert "cannot be made" in refusal(tmp_path, "--data", "/proc/hookcell")


def test_a_key_that_is_not_the_one_is_told_and_nothing_is_overwritten(tmp_path: Path) -> None:
    """Another key in its place, and none at all: never a new one in silence."""
    with serving(tmp_path / "data") as server:
        server.tenant("acme")
    key = tmp_path / "data/master.key"
    kept = json.loads(key.read_text())
    another = base64.b64encode(os.urandom(32)).decode()
    key.write_text(json.dumps(kept | {"keys": dict.fromkeys(kept["keys"], another)}))
    assert "key" in refusal(tmp_path)
    key.unlink()
    assert "key" in refusal(tmp_path)

    assert not key.exists()


def test_a_database_of_a_newer_version_is_told(tmp_path: Path, hookcell: Any) -> None:
    """Forward only: what a later version wrote is left alone."""
    hookcell("migrate", "--data", "data")
    with sqlite3.connect(tmp_path / "data/hookcell.db") as database:
        database.execute("update alembic_version set version_num = '9999'")
    database.close()

    assert "newer" in refusal(tmp_path)


def test_settings_that_cannot_be_are_told_all_at_once(tmp_path: Path) -> None:
    """Of the environment; an unknown name with the nearest."""
    said = refusal(tmp_path, HOOKCELL_WORKER_UID="0", HOOKCELL_PORTT="1")

    assert "worker_uid" in said
    assert "did you mean HOOKCELL_PORT?" in said


@pytest.mark.parametrize("which", ["cert", "key", "swapped", "missing", "alone"])
def test_tls_files_that_are_no_pair_are_told(tmp_path: Path, which: str) -> None:
    authority = trustme.CA()
    cert, other = authority.issue_cert("127.0.0.1"), authority.issue_cert("127.0.0.1")
    cert.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    cert.private_key_pem.write_to_path(tmp_path / "key.pem")
    other.private_key_pem.write_to_path(tmp_path / "other.pem")
    (tmp_path / "text.pem").write_text("no certificate")
    pairs = {
        "cert": ("text.pem", "key.pem"),
        "key": ("cert.pem", "other.pem"),
        "swapped": ("key.pem", "cert.pem"),
        "missing": ("none.pem", "key.pem"),
    }
    chosen = pairs.get(which)
    arguments = (
        ("--tls-cert", tmp_path / chosen[0], "--tls-key", tmp_path / chosen[1])
        if chosen
        else ("--tls-key", tmp_path / "key.pem")
    )

    assert "TLS" in refusal(tmp_path, *arguments)


def test_migrate_makes_the_database_and_no_more(hookcell: Any, tmp_path: Path) -> None:
    """No key, no token; a second time it changes nothing."""
    ran = [hookcell("migrate", "--data", "data") for _ in range(2)]

    assert [(0, "the database of data is up to date\n", "")] * 2 == [(each.status, each.out, each.err) for each in ran]
    assert {"hookcell.db"} == {path.name.removesuffix(".lock") for path in (tmp_path / "data").iterdir()}


def test_the_master_key_is_rotated_while_it_serves(tmp_path: Path, hookcell: Any) -> None:
    """Another key in the file, the same secrets behind it."""
    with serving(tmp_path / "data") as server:
        server.tenant("acme")
        before = json.loads((server.data / "master.key").read_text())
        ran = hookcell("rotate-master-key", "--server", server.url, "--token-file", str(server.data / "operator.token"))
        after = json.loads((server.data / "master.key").read_text())

        assert (0, "") == (ran.status, ran.err)
        assert ran.out == f"master key {after['current']} is in use; 1 data keys are wrapped with it\n"
        assert set() == set(before["keys"]) & set(after["keys"])

        token = server.data / "operator.token"
        ran = hookcell("rotate-master-key", "--json", "--server", server.url, "--token-file", str(token))
        told, now = json.loads(ran.out), json.loads((server.data / "master.key").read_text())["current"]
        assert {"master_key_id": now, "data_keys": 1, "unreadable": [], "complete": True} == told


def _children(pid: int) -> list[int]:
    found = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [below for child in found for below in _children(child)]


def test_a_folder_that_nobody_can_write_to_is_told(tmp_path: Path) -> None:
    """Root passes every mode of a folder, so it is one of the kernel's."""
    assert "/proc" in refusal(tmp_path, "--data", "/proc")
