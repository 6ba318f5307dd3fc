"""`hookcell init`: the first files of a tenant as code: tenant.yaml, one hook, its cases."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from engine.points import Point

_TENANT = """\
# A tenant as code: `hookcell deploy` makes the server so, `hookcell pull` makes these files as the server is.
{tenant}
hooks:
  - name: {name}
    point: {point}
    source: hooks/{file}.py
    enabled: true
"""
_CASES = """\
# Sample calls of the hook, and what must come of them: `hookcell test`.
point: {point}
secrets: {{}}
cases:
  - name: the sample call
    arguments: sample
    expect:
      status: ok
"""


@click.command(name="init")
@click.argument("folder", metavar="DIR")
@click.option("--point", default="post-change-password", show_default=True, help="Extensibility point of the hook.")
@click.option("--tenant", metavar="NAME", help="Whose hooks they are; else --tenant says it at each command.")
def command(folder: str, point: str, tenant: str | None) -> None:
    """Write a tenant.yaml, a first hook and its cases into DIR. Nothing is overwritten."""
    from engine.cli import terminal, writing
    from engine.config import Config
    from engine.errors import BadInput
    from engine.points import load_points, point_named

    if tenant is not None and not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", tenant):
        raise BadInput(f"{tenant!r:.100} is no tenant's name: a to z, 0 to 9 and hyphens, 63 at most")
    load_points(Config().points)
    made = {Path(folder) / name: text for name, text in _files(point_named(point), tenant).items()}
    there = [str(path) for path in made if path.exists() or path.is_symlink()]
    if there:
        raise BadInput(f"{', '.join(there)} is there already; nothing is overwritten, so nothing was written")
    for path, text in made.items():
        writing.write_over(path, text.encode())
        terminal.say(f"wrote {path}")
    terminal.say_lines(
        f"next:\n  hookcell test {folder}\n  hookcell deploy {folder} --dry-run\n  hookcell deploy {folder}"
    )


def _files(point: Point, tenant: str | None) -> dict[str, str]:
    file = point.id.replace("-", "_")
    said = f"tenant: {tenant}" if tenant else "# tenant: acme"
    name = re.sub(r"[^A-Za-z0-9 -]+", " ", point.title).strip(" -") or point.id
    return {
        "tenant.yaml": _TENANT.format(tenant=said, name=name, point=point.id, file=file),
        f"hooks/{file}.py": point.starter,
        f"hooks/{file}.cases.yaml": _CASES.format(point=point.id),
    }
