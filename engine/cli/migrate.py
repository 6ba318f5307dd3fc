"""`hookcell migrate`: bring the database up to this version, without serving. `serve` does it at its start too."""

from __future__ import annotations

from typing import Any

import click


@click.command(name="migrate")
@click.option("--data", metavar="DIR", help="Folder of the database. Default: data.")
def command(**given: Any) -> None:
    """Bring the database up to this version: forward only, under a lock. Make a copy of it before."""
    from engine.api.app import database_url
    from engine.cli.data import config_of
    from tenants.store import Store

    config = config_of(given)
    store = Store(database_url(config))
    store.open()
    store.close()
    click.echo(
        f"the database of {config.data} is up to date" if not config.database_url else "the database is up to date"
    )
