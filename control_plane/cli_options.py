"""What the commands share: their options, the settings, and the dashboard that they talk to."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from control_plane import collect_from_now
from control_plane.dashboard_client import DashboardClient, RemoteDashboard
from control_plane.settings import Settings
from control_plane.store.instance_lock import read_lock

DatabaseOption = Annotated[Path | None, typer.Option("--db", help="The database file (./runs.db).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def settings_of(context: typer.Context, db: Path | None) -> Settings:
    """Return the settings of a command, with the database that it names."""
    settings: Settings = context.obj
    return replace(settings, db=db) if db else settings


def full_path(settings: Settings) -> Path:
    """Return where the database lies."""
    return settings.db.expanduser().resolve()


@contextmanager
def connect(settings: Settings) -> Iterator[DashboardClient]:
    """Give the dashboard of this database if one runs, else a control plane without a site."""
    holder = read_lock(settings.db)
    if holder is not None and holder.url:
        collect_from_now()
        yield RemoteDashboard(holder.url, holder.token)
        return
    # Store, queue and load, which take a second to import, are for those alone who measure here.
    from control_plane.local_dashboard import LocalDashboard

    collect_from_now()
    # A script's background command inherits that SIGINT is ignored; the runner would heed that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    with asyncio.Runner() as runner, ExitStack() as closing:
        here = LocalDashboard(settings, runner)
        closing.callback(here.close)
        yield here


def _interrupt(number: int, frame: object) -> None:
    """End the command as Ctrl-C does: in order, with the states written."""
    del number, frame
    signal.raise_signal(signal.SIGINT)
