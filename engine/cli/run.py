"""`hookcell run`: one hook file on one point, in a locked-down worker; no server, no store."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from engine.config import Config
    from engine.egress.policy import EgressPolicy
    from engine.hook import Hook
    from engine.outcome import Outcome


@click.command(name="run")
@click.argument("file")
@click.option("--point", default="post-change-password", show_default=True, help="Extensibility point.")
@click.option(
    "--arguments", "arguments_file", help="JSON file of the arguments, or -. Default: the point's sample call."
)
@click.option(
    "--secret", "secrets", multiple=True, metavar="NAME=VALUE", help="context.webtask.secrets.NAME; repeatable."
)
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="HOST|NETWORK[:PORT]",
    help="What the hook may call although it is private, as 127.0.0.1:8080 or 10.1.0.0/16; repeatable. "
    "Where only listed hosts may be called, a host that is given here is listed too, a network is not.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole outcome as JSON.")
def command(file: str, point: str, arguments_file: str | None, *, as_json: bool, **given: tuple[str, ...]) -> None:
    """Run the hook in FILE (- for standard input) and print how it ended.

    Exit status: 0 only when the hook ended `ok`; 1 when it ended otherwise; 2 when the input cannot be used.
    """
    import asyncio

    from engine.cli import files, show
    from engine.config import Config
    from engine.errors import BadInput
    from engine.hook import Hook
    from engine.points import load_points, point_named

    config = Config()
    load_points(config.points)
    if file == "-" and arguments_file == "-":
        raise BadInput("only one of the hook and its arguments can come from standard input")
    sample = point_named(point).sample
    source = files.read_source(file, config.source_bytes)
    arguments = files.read_bytes(arguments_file, config.arguments_bytes, "arguments file") if arguments_file else sample
    secrets, egress = _pairs(given["secrets"]), _allowing(config.egress_policy, given["allow_hosts"])
    outcome = asyncio.run(_run(config, Hook(source, point, secrets=secrets, egress=egress), arguments))
    name = "<stdin>" if file == "-" else file
    if as_json:
        click.echo(outcome.json().decode())
    else:
        show.show_outcome(outcome, name)
    if outcome.status == "rejected":
        show.show_findings(outcome.diagnostics, source, name)
    sys.exit({"ok": 0, "rejected": 2}.get(outcome.status, 1))


async def _run(config: Config, hook: Hook, arguments: Mapping[str, Any] | bytes) -> Outcome:
    from engine.app import Engine

    small = config.model_copy(update={"reserve": min(1, config.reserve)})
    async with Engine(small) as engine:
        return await engine.run(hook, arguments)


def _pairs(secrets: tuple[str, ...]) -> dict[str, str]:
    for pair in secrets:
        if not pair.partition("=")[1]:
            raise click.BadParameter(f"found {pair!r}; write NAME=VALUE", param_hint="--secret")
    return dict(pair.split("=", 1) for pair in secrets)


def _allowing(policy: EgressPolicy, hosts: tuple[str, ...]) -> EgressPolicy:
    """The settings' policy with these exceptions; where only listed hosts may be called, they are listed too."""
    for host in hosts:
        _check_allowed(host)
    listed = tuple(_without_port(host) for host in hosts if "/" not in host) if policy.listed_only else ()
    return dataclasses.replace(policy, exceptions=policy.exceptions + hosts, hosts=policy.hosts + listed)


def _check_allowed(host: str) -> None:
    from engine.egress.policy import EgressPolicy

    try:
        EgressPolicy(exceptions=(host,))
    except ValueError as error:
        said = str(error).replace("exceptions has", "found", 1)
        raise click.BadParameter(said, param_hint="--allow-host") from None


def _without_port(host: str) -> str:
    """'127.0.0.1:8080' → '127.0.0.1'; '[::1]:80' → '[::1]'."""
    return re.sub(r":\d*$", "", host) if host.count(":") == 1 or "]" in host else host
