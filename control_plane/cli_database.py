"""Commands around the database: export, backup, restore; who comes in, and who did what."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from control_plane.cli_options import AsJson, DatabaseOption, connect, full_path, settings_of
from control_plane.cli_output import complain, print_json, print_table
from control_plane.dashboard_client import RemoteDashboard
from control_plane.domain.errors import SettingsError
from control_plane.domain.ids import compared_ids
from control_plane.domain.spec_json import Document
from control_plane.store.instance_lock import read_lock

database_commands = typer.Typer()


@database_commands.command("export")
def export_results(
    context: typer.Context,
    runs: Annotated[list[str], typer.Argument(help="A run id, or 2 to 12 to be compared.")],
    html: Annotated[Path, typer.Option("--html", help="The file; nothing lies there yet.")],
    as_json: AsJson = False,
    db: DatabaseOption = None,
) -> None:
    """Write the page of a run, or of several side by side, as one file that opens anywhere.

    Its figures need no network. Secrets, the log of the target and its stacks are left out.
    """
    ids, _ = compared_ids(",".join(runs), None)
    settings = settings_of(context, db)
    if not settings.db.exists():
        raise SettingsError(f"There is no database at {settings.db}: name one with --db.")
    with connect(settings) as dashboard:
        content = dashboard.report(ids)
    _write_new(html, content)
    if as_json:
        print_json({"runs": list(ids), "file": str(html.resolve()), "bytes": len(content)})
    else:
        typer.echo(f"{html}: {len(content) / 1e6:.1f} MB, opens in any browser.")


def _write_new(path: Path, content: bytes) -> None:
    """Write a file where none is yet. Raises SettingsError."""
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        raise SettingsError(f"{path} is there already: name another file.") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}.") from None


@database_commands.command("backup")
def back_up_database(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to keep the copy; nothing lies there yet.")],
    as_json: AsJson = False,
    db: DatabaseOption = None,
) -> None:
    """Copy the database as it is now, also while a dashboard uses it.

    A copy of the file alone would lack what its log (runs.db-wal) holds.
    """
    database = full_path(settings_of(context, db))
    from control_plane.store.backups import back_up

    back_up(database, file)
    if as_json:
        print_json({"database": str(database), "backup": str(file.resolve())})
    else:
        typer.echo(f"{database} is kept in {file}. To put it back: looplab restore {file}")


@database_commands.command("restore")
def restore_database(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A backup, or another database of Looplab.")],
    as_json: AsJson = False,
    db: DatabaseOption = None,
) -> None:
    """Put a backup in the place of the database, which is kept beside it.

    No dashboard may have the database: stop it first.
    """
    database = full_path(settings_of(context, db))
    from control_plane.store.backups import restore

    kept = [str(path) for path in restore(database, file)]
    if as_json:
        print_json({"database": str(database), "backup": str(file.resolve()), "kept": kept})
    else:
        before = f" What was there before is kept in {kept[0]}." if kept else ""
        typer.echo(f"{database} is now what {file} holds.{before}")


@database_commands.command("login")
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


@database_commands.command("audit")
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
