"""The command line: `looplab` serves, `looplab run` measures, `looplab compare` compares."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from control_plane import __version__
from control_plane.domain.choice import chosen_ids
from control_plane.domain.errors import DatabaseOwned, InvalidInput, LooplabError, SettingsError
from control_plane.domain.reading import Document, read_document
from control_plane.domain.units import NONE, figures, ratio
from control_plane.office import Office, office
from control_plane.settings import Settings, load_settings
from control_plane.store.store import open_store

cli = typer.Typer(add_completion=False, context_settings={"help_option_names": ["--help"]})
out, err = Console(highlight=False), Console(stderr=True, highlight=False)

Database = Annotated[Path | None, typer.Option("--db", help="The database file (./runs.db).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """Run the command; a fault is one readable line and an exit code above zero."""
    try:
        cli()
    except DatabaseOwned as error:
        err.print(str(error), soft_wrap=True, markup=False)
        sys.exit(3)
    except InvalidInput as error:
        for field in error.fields or ():
            err.print(f"{field.field}: {field.message}", soft_wrap=True, markup=False)
        if not error.fields:
            err.print(str(error), soft_wrap=True, markup=False)
        sys.exit(2)
    except LooplabError as error:
        err.print(str(error), soft_wrap=True, markup=False)
        sys.exit(2)


@cli.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option("-h", "--host", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("-p", "--port", help="0 takes a free one.")] = None,
    db: Database = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Open the dashboard (http://127.0.0.1:8200)."""
    if version:
        out.print(f"looplab {__version__}")
        raise typer.Exit
    context.obj = load_settings(host=host, port=port, db=db)
    if context.invoked_subcommand is None:
        _serve(context.obj, open_page=open_page)


def _serve(settings: Settings, *, open_page: bool) -> None:
    from control_plane.serving import listen
    from control_plane.serving import serve as serve_dashboard

    store = open_store(settings.db)
    try:
        with listen(settings) as listener:
            serve_dashboard(settings, store, listener, open_page=open_page)
    finally:
        store.close()


@cli.command("run")
def run_spec(
    context: typer.Context,
    spec: Annotated[Path, typer.Argument(help="The spec as JSON; - reads standard input.")],
    wait: Annotated[bool, typer.Option("--wait", help="Return when the run is over.")] = False,
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """Queue a run; without a dashboard it is measured here and now."""
    document = _read(spec)
    with office(_settings(context, db)) as desk:
        run = desk.submit(document)
        if wait or not desk.remote:
            run = desk.wait(run["id"], _say_progress if not as_json else _silent)
        _print_run(desk, run, as_json=as_json)
    if run["state"] not in {"queued", "finished"}:
        raise typer.Exit(1)


@cli.command("compare")
def compare_runs(
    context: typer.Context,
    runs: Annotated[list[str], typer.Argument(help="2 to 12 run ids; the first is the baseline.")],
    as_json: AsJson = False,
    db: Database = None,
) -> None:
    """Put finished runs side by side."""
    ids, baseline = chosen_ids(",".join(runs), None)
    with office(_settings(context, db)) as desk:
        comparison = desk.compare(ids, baseline)
    if as_json:
        out.print_json(json.dumps(comparison))
    else:
        out.print(_table(comparison))


def _settings(context: typer.Context, db: Path | None) -> Settings:
    settings: Settings = context.obj
    return load_settings(db=db) if db else settings


def _read(path: Path) -> Document:
    try:
        body = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}.") from None
    return read_document(body)


def _silent(run: Document) -> None:
    del run


def _say_progress(run: Document) -> None:
    progress = run["progress"]
    if progress:
        place = f"trial {progress['trial']} of {progress['trials']}, {progress['share']:.0%}"
        err.print(f"{run['state']}: {place}", soft_wrap=True)


def _print_run(desk: Office, run: Document, *, as_json: bool) -> None:
    if as_json:
        out.print_json(json.dumps(run))
        return
    where = f"{desk.url}/runs/{run['id']}" if desk.url else run["id"]
    out.print(f"{run['state']}  {where}", soft_wrap=True)
    for stream in run.get("streams") or ():
        times = stream["response_time_s"] or {}
        shown = [
            f"{name} {figures(times[name] * 1e3)} ms" for name in ("p50", "p99") if name in times
        ]
        numbers = [f"{figures(stream['throughput_per_s'])} /s", *shown]
        errors = sum(stream["errors"].values())
        out.print(f"{stream['name']}: {', '.join(numbers)}, {errors:,} errors", soft_wrap=True)
    if run.get("reason"):
        out.print(run["reason"], soft_wrap=True, markup=False)


def _table(comparison: Document) -> Table:
    table = Table("stream", "metric", *comparison["runs"])
    for row in comparison["rows"]:
        cells = [
            NONE if value is None else f"{figures(value)} {ratio(row['ratios'].get(run))}"
            for run, value in row["values"].items()
        ]
        table.add_row(row["stream"] or "", f"{row['metric']} ({row['unit']})", *cells)
    return table
