"""Commands that carry results into files and back: export, backup, restore."""

from pathlib import Path
from typing import Annotated

import typer

from control_plane.cli_options import AsJson, DatabaseOption, connect, full_path, settings_of
from control_plane.cli_output import print_json
from control_plane.domain.errors import SettingsError
from control_plane.domain.ids import compared_ids

file_commands = typer.Typer()


@file_commands.command("export")
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


@file_commands.command("backup")
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


@file_commands.command("restore")
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
