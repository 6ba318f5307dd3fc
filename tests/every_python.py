"""Run the tests of sandbox and language on every CPython 3.11 to 3.14 here: an escape differs by minor version.

Not on the one that runs this: `make test` does that. Each other version gets an environment of its own, `.venv-3.x`, made once and kept while the lock is the same.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MINORS = (11, 12, 13, 14)
PLACES = (
    Path("/usr/bin"),
    Path("/usr/local/bin"),
    *Path.home().glob(".pyenv/versions/3.*/bin"),
    *Path.home().glob(".local/share/uv/python/cpython-3.*/bin"),
    *Path("/opt").glob("python*/bin"),
)
SUITES = ("tests/sandbox", "tests/escapes", "tests/language")  # what differs by minor version
ASK = "import sys, venv, ensurepip; print(sys.implementation.name, *sys.version_info[:2])"


def main() -> int:
    """Test on each; the status is 1 when a test fails or there are fewer versions than asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at-least", type=int, default=1, help="how many versions there must be")
    parser.add_argument("--others", type=int, default=len(MINORS), help="how many others to test on, the newest first")
    asked = parser.parse_args()
    wanted, found = asked.at_least, find_pythons()
    print(f"CPython here: {', '.join(f'3.{minor} ({path})' for minor, path in found.items()) or 'none'}", flush=True)
    if len(found) < wanted:
        print(f"found {len(found)} versions of CPython 3.11 to 3.14; at least {wanted} are needed", file=sys.stderr)
        return 1
    own = found.pop(sys.version_info.minor, None)
    found = dict(list(found.items())[-asked.others :])
    failed = [minor for minor, python in found.items() if not passes(minor, python)]
    for minor in found:
        print(f"CPython 3.{minor}: {'failed' if minor in failed else 'passed'}")
    if own:
        print(f"CPython 3.{sys.version_info.minor}: by make test")
    return 1 if failed else 0


def find_pythons() -> dict[int, Path]:
    """The first usable interpreter of each minor version: ours, then those on the path, then the usual places."""
    found: dict[int, Path] = {}
    on_path = [shutil.which(f"python3.{minor}") for minor in MINORS]
    places = [place / f"python3.{minor}" for place in PLACES for minor in MINORS]
    for candidate in [sys._base_executable, *on_path, *places]:  # type: ignore[attr-defined]
        minor = minor_of(candidate) if candidate and Path(candidate).exists() else None
        if minor in MINORS:
            found.setdefault(minor, Path(candidate))
    return dict(sorted(found.items()))


def minor_of(python: str | Path) -> int | None:
    """The minor version of a CPython 3 that can make environments, or None."""
    asked = subprocess.run([python, "-I", "-c", ASK], capture_output=True, text=True, check=False, timeout=60)
    words = asked.stdout.split()
    return int(words[2]) if asked.returncode == 0 and words[:2] == ["cpython", "3"] else None


def passes(minor: int, python: Path) -> bool:
    """Whether the sandbox's tests pass there."""
    environment = ROOT / f".venv-3.{minor}"
    prepare(environment, python)
    print(f"CPython 3.{minor}:", flush=True)
    command = [environment / "bin/pytest", "-n", "2", "-q", *SUITES]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def prepare(environment: Path, python: Path) -> None:
    """Make the environment, unless it stands for this lock."""
    lock = ROOT / "requirements-dev.lock"
    stamp, wanted = environment / ".installed", hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    subprocess.run([python, "-m", "venv", "--clear", environment], check=True)
    pip = [environment / "bin/pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", lock], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "-e", ROOT], check=True)
    stamp.write_text(wanted)


if __name__ == "__main__":
    sys.exit(main())
