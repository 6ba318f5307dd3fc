"""The command line. Each command is a file, loaded when it is asked for: `hookcell --help` must be quick.

Exit status: 0 all is well · 1 a hook, a case or a layer is not · 2 the input cannot be used, or nothing was started.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

_COMMANDS = (
    *("run", "check", "test", "init"),
    *("deploy", "pull", "rollback", "hooks", "secret", "trigger", "executions", "logs", "token", "tenant"),
    *("serve", "migrate", "rotate-master-key", "doctor", "bench"),
)


class _Commands(click.Group):
    """Finds a command by the name of its file."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the overridden signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - likewise
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"engine.cli.{cmd_name.replace('-', '_')}").command
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hookcell", message="%(prog)s %(version)s")
def cli() -> None:
    """Hookcell runs other people's Python hooks, each tenant's in locked-down processes of its own."""


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line. A fault of the input or of the machine is one line and status 2."""
    from engine.cli.terminal import say_lines
    from engine.errors import EngineError
    from tenants.errors import StoreError

    try:
        return cli.main(arguments, prog_name="hookcell")
    except (EngineError, StoreError) as error:
        say_lines(f"hookcell: {error}", err=True)
        sys.exit(2)
