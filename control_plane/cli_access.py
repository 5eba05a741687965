"""`looplab login` and `looplab audit`: who comes in, and who did what."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from control_plane.cli_options import AsJson, DatabaseOption, full_path, settings_of
from control_plane.cli_output import complain, print_json, print_table
from control_plane.dashboard_client import RemoteDashboard
from control_plane.domain.errors import SettingsError
from control_plane.domain.spec_json import Document
from control_plane.store.instance_lock import read_lock

access_commands = typer.Typer()


@access_commands.command("login")
def print_login_address(context: typer.Context, db: DatabaseOption = None) -> None:
    """Print an address of the running dashboard that logs a browser in, once."""
    database = full_path(settings_of(context, db))
    holder = read_lock(database)
    if holder is None or not holder.url:
        raise SettingsError(f"No dashboard has {database}: start one with looplab.")
    if holder.token is None:
        complain("It asks for no login.")
        typer.echo(holder.url)
    else:
        typer.echo(RemoteDashboard(holder.url, holder.token).login_address())


@access_commands.command("audit")
def print_audit_log(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000, help="How many.")] = 50,
    as_json: AsJson = False,
    db: DatabaseOption = None,
) -> None:
    """List who started, cancelled and deleted what, the newest first."""
    entries = _entries(full_path(settings_of(context, db)), limit)
    if as_json:
        print_json({"entries": entries})
    else:
        print_table(_table(entries))


def _entries(database: Path, limit: int) -> list[Document]:
    holder = read_lock(database)
    if holder is not None and holder.url:
        found: list[Any] = RemoteDashboard(holder.url, holder.token).audit(limit)["entries"]
        return found
    if not database.exists():
        raise SettingsError(f"There is no database at {database}: name one with --db.")
    from control_plane.store.store import open_store

    store = open_store(database)
    try:
        return [entry.document() for entry in store.audit(limit)]
    finally:
        store.close()


def _table(entries: list[Document]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("When", "Who", "From", "Did", "What", "Title"):
        table.add_column(head, no_wrap=head != "Title")
    for entry in entries:
        what = f"run {entry['run']}" if "run" in entry else f"experiment {entry['experiment']}"
        at = f"{entry['at'][:16].replace('T', ' ')} UTC"
        texts = (at, entry["who"], entry["from"], entry["action"], what, entry["title"])
        table.add_row(*map(Text, texts))
    return table
