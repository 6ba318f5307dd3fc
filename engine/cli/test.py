"""`hookcell test`: run every hook of a folder on its cases."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from engine.cases import CaseFile, Verdict


@click.command(name="test")
@click.argument("folder")
@click.option("--junit", metavar="FILE", help="Also write the verdicts as JUnit XML.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as JSON.")
def command(folder: str, junit: str | None, *, as_json: bool) -> None:
    """Run the hooks in FOLDER, each on the calls in its NAME.cases.yaml.

    Exit status: 0 when every case passes, 1 when one fails, 2 when a file cannot be used.
    """
    import asyncio

    from engine.cases import find_cases

    verdicts = asyncio.run(_run_all(find_cases(Path(folder)), quiet=as_json or not sys.stderr.isatty()))
    if junit:
        _write(Path(junit), _junit(verdicts))
    if as_json:
        _print_json(verdicts)
    else:
        _print(verdicts)
    sys.exit(1 if any(verdict.faults for verdict in verdicts) else 0)


async def _run_all(files: list[tuple[Path, CaseFile]], *, quiet: bool) -> list[Verdict]:
    from rich.console import Console
    from rich.progress import Progress

    from engine.app import Engine
    from engine.cases import run_cases
    from engine.config import Config
    from engine.points import load_points

    config = Config()
    load_points(config.points)
    verdicts = []
    total = sum(len(file.cases) for _, file in files)
    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as progress:
        bar = progress.add_task("cases", total=total)
        async with Engine(config) as engine:
            for path, file in files:
                async for verdict in run_cases(engine, path, file):
                    verdicts.append(verdict)
                    progress.advance(bar)
    return verdicts


def _write(path: Path, report: bytes) -> None:
    from engine.errors import BadInput

    try:
        path.write_bytes(report)
    except OSError as error:
        raise BadInput(f"the report cannot be written to {str(path)!r}: {error.strerror}") from None


def _print(verdicts: list[Verdict]) -> None:
    from engine.cli.terminal import plain, plain_line

    for verdict in verdicts:
        mark = click.style("failed", fg="red") if verdict.faults else click.style("passed", fg="green")
        click.echo(
            f"{mark}  {plain_line(str(verdict.file))}  {plain_line(verdict.case)}  ({verdict.seconds * 1000:.1f} ms)"
        )
        for fault in verdict.faults:
            click.echo(f"        {plain(fault)}")
    failed = sum(bool(verdict.faults) for verdict in verdicts)
    click.echo(f"{len(verdicts) - failed} passed, {failed} failed")


def _print_json(verdicts: list[Verdict]) -> None:
    import msgspec

    shown: list[dict[str, Any]] = [
        {"file": str(verdict.file), "case": verdict.case, "faults": verdict.faults, "outcome": verdict.outcome}
        for verdict in verdicts
    ]
    click.echo(msgspec.json.encode(shown).decode())


def _junit(verdicts: list[Verdict]) -> bytes:
    """One suite, a case each. Source: the JUnit 4 Ant report, as CI servers read it."""
    from xml.etree import ElementTree

    from engine.cli.terminal import plain

    failures = sum(bool(verdict.faults) for verdict in verdicts)
    suite = ElementTree.Element("testsuite", name="hookcell", tests=str(len(verdicts)), failures=str(failures))
    for verdict in verdicts:
        seconds = f"{verdict.seconds:.4f}"
        case = ElementTree.SubElement(
            suite, "testcase", classname=plain(str(verdict.file)), name=plain(verdict.case), time=seconds
        )
        if verdict.faults:
            text = plain("\n".join(verdict.faults))
            ElementTree.SubElement(case, "failure", message=plain(verdict.faults[0])).text = text
    written: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return written
