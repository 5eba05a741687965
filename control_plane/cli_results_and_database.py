"""Commands around the database: trend, export, import, backup, restore; who comes in, did what."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from control_plane.analysis.prose.markdown_and_junit import judged_step, trend_list_lines
from control_plane.cli_options import (
    AGAINST,
    EXPORT_EXIT_CODES,
    TREND_EXIT_CODES,
    AsJson,
    DatabaseOption,
    connect,
    connect_to_read,
    full_path,
    settings_of,
    settings_to_read,
    settings_with_database,
)
from control_plane.cli_output import complain, print_json, print_line, print_table
from control_plane.dashboard_client import DashboardClient, RemoteDashboard
from control_plane.domain.errors import SettingsError
from control_plane.domain.ids import compared_ids, is_digest, run_address, tool_result_address
from control_plane.domain.spec_json import Document
from control_plane.domain.tool_result import TOOL_KINDS
from control_plane.domain.units import change, number_of
from control_plane.settings import Settings
from control_plane.store.instance_lock import held_files, read_lock

SHOWN = 12
database_commands = typer.Typer()

TrendMetric = Annotated[
    str, typer.Option("--metric", help="As in the API; p50 response time unless named.")
]
Against = Annotated[str, typer.Option("--against", help="raw, or the spec of a pinned baseline.")]
Margin = Annotated[
    float | None, typer.Option("--margin", min=0, max=1, help="Less is none; 0.03 unless set.")
]
CountSuspect = Annotated[bool, typer.Option("--suspect", help="Suspect runs count, too.")]
Once = Annotated[
    bool | None,
    typer.Option("--once/--look", help="Tell an alarm once, as with --json; or only look."),
]


@database_commands.command("trend", epilog=TREND_EXIT_CODES)
def follow_trend(
    context: typer.Context,
    spec: Annotated[
        str | None, typer.Argument(help="A run, or the digest of a spec; lists all if none.")
    ] = None,
    metric: TrendMetric = "",
    stream: Annotated[str, typer.Option("--stream", help="The first unless named.")] = "",
    against: Against = "",
    by_commit: Annotated[bool, typer.Option("--by-commit", help="In place of by time.")] = False,
    margin: Margin = None,
    machine: Annotated[str, typer.Option("--machine", help="The last unless named.")] = "",
    suspect: CountSuspect = False,
    once: Once = None,
    as_json: AsJson = False,
    db: DatabaseOption = None,
) -> None:
    """Show the steps of a spec over time. The exit code is 10 while the newest is a new alarm.

    Who looks keeps nothing. With --once or --json, as a nightly job has it, the step counts as told
    from then on: the job ends with 10 once for each step that is worse.
    """
    query: dict[str, str | float] = {"metric": metric, "stream": stream, "against": against}
    query |= {"machine": machine, "x": by_commit and "commit", "suspect": suspect and "true"}
    query = {name: value for name, value in query.items() if value}
    query |= {} if margin is None else {"margin": margin}
    told = as_json if once is None else once
    opened = connect if told and spec is not None else connect_to_read
    with opened(settings_with_database(context, db)) as looplab:
        found = _listed(looplab, query) if spec is None else looplab.trend(spec, query, told=told)
    if as_json:
        print_json(found)
    elif spec is None:
        _print_trends(found)
    else:
        _print_trend(found, told=told)
        if looplab.url:
            print_line(f"{looplab.url}/trends/{found['spec']}?{urlencode(query)}".rstrip("?"))
    raise typer.Exit(AGAINST if found.get("alarm") else 0)


def _listed(dashboard: DashboardClient, query: Mapping[str, str | float]) -> Document:
    if of_one := query.keys() - {"machine", "suspect"}:
        options = sorted("--by-commit" if name == "x" else f"--{name}" for name in of_one)
        raise SettingsError(f"Name a spec: {', '.join(options)} is asked of one trend.")
    return dashboard.trends(suspect="suspect" in query, machine=str(query.get("machine", "")))


def _print_trends(found: Document) -> None:
    """Print the trends that there are, and which runs make none."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("Spec", "Runs", "Machine", "Last", "Title"):
        table.add_column(head, no_wrap=head != "Title")
    for trend in found["trends"]:
        texts = (trend["spec"], str(trend["runs"]), trend["machine"], trend["at"][:10])
        table.add_row(*map(Text, (*texts, trend["title"])))
    if found["trends"]:
        print_table(table)
    for line in trend_list_lines(found):
        print_line(line)


def _print_trend(found: Document, *, told: bool) -> None:
    """Print the sentence with what is against it, then a line for each step, the newest first."""
    print_line(f"{found['sentence']}.")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("After run", "Before run", "Change", "Verdict", "Commits", "Note"):
        table.add_column(head, no_wrap=head != "Note")
    for step in reversed(found["steps"]):
        size = change(step["change"], found["unit"])
        commits = ", ".join(commit[:10] for commit in step["commits"])
        texts = (step["after"], step["before"], size, judged_step(step), commits, step["note"])
        table.add_row(*map(Text, texts))
    if found["steps"]:
        print_table(table)
    if found["alarm"]:
        until = "it is told this once" if told else "the exit code is 10 until --once or --json"
        print_line(f"The newest found step is worse and new: {until}.")


@database_commands.command("export", epilog=EXPORT_EXIT_CODES)
def export_results(
    context: typer.Context,
    ids: Annotated[
        list[str] | None,
        typer.Argument(help="Runs, experiments, specs of trends; all if none is named."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="One page: a run, up to 12, an experiment, a trend."),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="A bundle for another Looplab (.looplab).")
    ] = None,
    metric: TrendMetric = "",
    suspect: CountSuspect = False,
    as_json: AsJson = False,
    db: DatabaseOption = None,
) -> None:
    """Write results to a file: a page that opens anywhere, or a bundle for another Looplab.

    Secrets, the log of the target and its stacks are left out. --metric and --suspect are of the
    page of a trend; its bundle holds all runs of the spec.
    """
    if (html is None) == (bundle is None):
        raise SettingsError("Name one file: --html FILE for a page, --bundle FILE for a bundle.")
    query = ({"metric": metric} if metric else {}) | ({"suspect": "true"} if suspect else {})
    if query and (html is None or [*map(is_digest, ids or ())] != [True]):
        raise SettingsError("--metric and --suspect are of the page of a trend: SPEC --html FILE.")
    with settings_to_read(settings_of(context, db)) as settings:
        if html is not None:
            _export_page(settings, html, ids or [], query, as_json=as_json)
        elif bundle is not None:
            _export_bundle(settings, bundle, ids or [], as_json=as_json)


def _export_page(
    settings: Settings, file: Path, ids: list[str], query: Mapping[str, str], *, as_json: bool
) -> None:
    is_trend = [*map(is_digest, ids)] == [True]
    runs = tuple(ids) if is_trend else compared_ids(",".join(ids), None)[0]
    with connect(settings) as dashboard:
        if is_trend:
            _refuse_no_points(dashboard.trend(ids[0], query, told=False))
        content = dashboard.report(runs, query)
    _write_new(file, content)
    if as_json:
        print_json({"runs": list(runs), "file": str(file.resolve()), "bytes": len(content)})
    else:
        typer.echo(f"{file}: {len(content) / 1e6:.1f} MB, opens in any browser.")


def _refuse_no_points(trend: Document) -> None:
    """Raise SettingsError for a trend of which a page would show nothing."""
    suspect, without = trend["left_out"]["suspect"], trend["left_out"]["without_number"]
    why = f"{number_of(without, 'run')} without a number of it" if without else "no run is valid"
    if suspect:
        why = f"{number_of(suspect, 'suspect run')} left out, which --suspect counts, too"
    if not trend["points"]:
        raise SettingsError(f"No page: it would show no run of {trend['metric']}: {why}.")


def _export_bundle(settings: Settings, file: Path, ids: list[str], *, as_json: bool) -> None:
    from control_plane.store.bundles import write_bundle

    written = write_bundle(settings.db, file, ids)
    if as_json:
        print_json({**asdict(written), "file": str(file.resolve())})
        return
    holds = counted_things((written.runs, "run"), (written.experiments, "experiment"))
    holds += f" and {number_of(written.peers, 'result')} of other tools" if written.peers else ""
    typer.echo(f"{file}: {holds}, {written.size_bytes / 1e6:.1f} MB, sha256 {written.sha256}")
    which = "" if len(ids) == 1 and not is_digest(ids[0]) else " ID"
    repeat = f", or looplab repeat {file.name}{which}" if written.runs else ""
    typer.echo(f"Elsewhere: looplab import {file.name}{repeat}")


@database_commands.command("import")
def import_results(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A bundle, or what another tool wrote.")],
    kind: Annotated[str, typer.Option("--kind", help=f"{', '.join(TOOL_KINDS)}.")] = "",
    unit: Annotated[str, typer.Option("--unit", help="Of a .hlog: ns, us or ms.")] = "",
    title: Annotated[str, typer.Option("--title", help="Of another tool's result.")] = "",
    as_json: AsJson = False,
    db: DatabaseOption = None,
) -> None:
    """Take over a bundle, all or nothing, or what k6, Locust, oha, hey, wrk or vegeta wrote.

    The ids of a bundle stay, and each run is marked. What is here already with the same content
    stays as it is; with another, nothing is imported. A result of another tool is never judged.
    While the dashboard measures, the command waits, because this would disturb the run.
    """
    if not file.is_file():
        raise SettingsError(f"{file} is no file.")
    from control_plane.other_tools import told_of_file

    told = told_of_file(file.name, kind, unit, title)
    settings = settings_of(context, db)
    with connect(settings) as dashboard:
        found = dashboard.import_file(file, told, complain)
    if as_json:
        print_json(found)
    elif found["peers"] and not found["holds"]:
        _print_tool_results(found, dashboard.url or "")
    else:
        _print_imported(found, dashboard.url)


def _print_tool_results(found: Document, url: str) -> None:
    what = "was here already" if found["known"] else "is imported, and never judged"
    typer.echo(f"The result {what}. sha256 {found['sha256']}")
    for peer_id in found["peers"][:SHOWN]:
        typer.echo(f"{url}{tool_result_address(peer_id)}" if url else peer_id)


def _print_imported(found: Document, url: str | None) -> None:
    new = counted_things((len(found["runs"]), "run"), (len(found["experiments"]), "experiment"))
    peers = len(found["peers"])
    new += f" and {number_of(peers, 'result')} of other tools" if peers else ""
    known = f", {found['known']:,} here already" if found["known"] else ""
    typer.echo(f"{new} imported{known}. sha256 {found['sha256']}")
    for run_id in found["runs"][:SHOWN]:
        typer.echo(f"{url}{run_address(run_id)}" if url else run_id)
    if len(found["runs"]) > SHOWN:
        typer.echo(f"and {len(found['runs']) - SHOWN:,} more")


def counted_things(*counts: tuple[int, str]) -> str:
    """Return `2 runs and 1 experiment`; the first stands also where there is none of it."""
    told = [
        f"{many:,} {name}{'' if many == 1 else 's'}"
        for place, (many, name) in enumerate(counts)
        if many or not place
    ]
    return " and ".join(told)


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

    A copy of the file alone would lack what its log (runs.db-wal) holds. One that was deleted is
    saved from the dashboard that still has it open.
    """
    database = full_path(settings_of(context, db))
    if held_files(database) is None:
        settings_with_database(context, db)
    from control_plane.store.schema_and_backups import back_up

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
    from control_plane.store.schema_and_backups import restore

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
    entries = _entries(settings_with_database(context, db), limit)
    if as_json:
        print_json({"entries": entries})
    else:
        print_table(_table(entries))


def _entries(settings: Settings, limit: int) -> list[Document]:
    holder = read_lock(settings.db)
    if holder is not None and holder.url:
        found: list[Any] = RemoteDashboard(holder.url, holder.token).audit(limit)["entries"]
        return found
    from control_plane.store.store import open_store

    with settings_to_read(settings) as readable, closing(open_store(readable.db)) as store:
        return [entry.document() for entry in store.audit(limit)]


def _table(entries: list[Document]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("When", "Who", "From", "Did", "What", "Title"):
        table.add_column(head, no_wrap=head != "Title")
    for entry in entries:
        kinds = ("run", "experiment", "comparison", "peer", "trend")
        kind = next(kind for kind in kinds if kind in entry)
        at = f"{entry['at'][:16].replace('T', ' ')} UTC"
        what = f"{kind} {entry[kind]}"
        texts = (at, entry["who"], entry["from"], entry["action"], what, entry["title"])
        table.add_row(*map(Text, texts))
    return table
