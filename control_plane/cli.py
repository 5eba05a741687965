"""The command line: `looplab` serves, `looplab run` measures, `looplab compare` compares."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from control_plane import __version__
from control_plane.cli_experiment import (
    BlockLines,
    experiment_exit_code,
    experiment_result,
    measuring_commands,
    print_bundled,
    print_experiment,
    print_noise_floors,
    print_objectives,
    report_files,
    run_exit_code,
)
from control_plane.cli_options import (
    BAD_INPUT,
    EXIT_CODES,
    EXPERIMENT_EXIT_CODES,
    INVALID,
    MEASURED_EXIT_CODES,
    NOT_FINISHED,
    NOT_OWNED,
    AsJson,
    DatabaseOption,
    connect,
    connect_to_read,
    experiment_file,
    full_path,
    read_json_file,
    settings_of,
    settings_with_database,
    tell_load_elsewhere,
    with_row_files,
)
from control_plane.cli_output import (
    ProgressLines,
    complain,
    print_ceilings,
    print_comparison,
    print_json,
    print_line,
    print_measurements,
    print_run,
    print_what_encodings_lack,
)
from control_plane.cli_results_and_database import database_commands
from control_plane.dashboard_client import DashboardClient, NoDashboard
from control_plane.domain.errors import (
    DatabaseOwned,
    InvalidInput,
    LooplabError,
    NotFound,
    SettingsError,
)
from control_plane.domain.ids import compared_ids
from control_plane.domain.limits import Limits
from control_plane.domain.spec_json import Document
from control_plane.experiments import noise_experiment, spec_of_curl
from control_plane.settings import Settings, load_settings

cli = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help"]},
)
Strict = Annotated[bool, typer.Option("--strict", help="Undecided is a failure.")]
SpecFile = Annotated[Path | None, typer.Argument(help="The spec as JSON; - reads standard input.")]


def main() -> None:
    """Run the command; a fault is one readable line and an exit code above zero."""
    print_what_encodings_lack()
    try:
        cli()
    except DatabaseOwned as error:
        complain(str(error))
        sys.exit(NOT_OWNED)
    except NoDashboard as error:
        complain(str(error))
        sys.exit(NOT_FINISHED)
    except InvalidInput as error:
        for field in error.fields or ():
            complain(f"{field.field}: {field.message}")
        if not error.fields:
            complain(str(error))
        sys.exit(BAD_INPUT)
    except LooplabError as error:
        complain(str(error))
        sys.exit(BAD_INPUT)


@cli.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option("-h", "--host", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("-p", "--port", help="0 takes a free one.")] = None,
    db: DatabaseOption = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Your applications (./looplab.toml).")
    ] = None,
    token: Annotated[
        bool | None,
        typer.Option(
            "--token/--no-token", help="Ask for a token (only where the machine has other users)."
        ),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Open the dashboard (http://127.0.0.1:8200)."""
    if version:
        typer.echo(f"looplab {__version__}")
        raise typer.Exit
    context.obj = load_settings(host=host, port=port, db=db, config=config, token=token)
    if context.invoked_subcommand is None:
        _serve(context.obj, open_page=open_page)


def _serve(settings: Settings, *, open_page: bool) -> None:
    from control_plane.dashboard_server import listen
    from control_plane.dashboard_server import serve as serve_dashboard
    from control_plane.store.store import open_store

    store = open_store(settings.db)
    for name, application in settings.applications.items():
        if not application.directory.is_dir():
            where = f"applications.{name}.directory: {application.directory} is not there"
            complain(f"{where}, so it cannot be started: correct it in the settings.")
    try:
        with listen(settings) as listener:
            serve_dashboard(settings, store, listener, open_page=open_page)
    finally:
        store.close()


@cli.command("run", epilog=EXIT_CODES)
def run_spec(
    context: typer.Context,
    spec: SpecFile = None,
    curl: Annotated[
        str | None, typer.Option("--curl", help="A curl command, in the place of a spec.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when the run is over.")] = False,
    strict: Strict = False,
    as_json: AsJson = False,
    db: DatabaseOption = None,
) -> None:
    """Queue a run; without a dashboard it is measured here and now.

    With --wait, or without a dashboard, the exit code tells how the run ended.
    """
    if (spec is None) == (curl is None):
        raise SettingsError("Name a spec, or give a command with --curl.")
    if spec is None:
        document, notes = spec_of_curl(curl or "")
        for note in notes:
            complain(note)
    else:
        document = with_row_files(read_json_file(spec), spec.parent)
    settings = settings_of(context, db)
    new = not settings.db.expanduser().exists()
    with connect(settings) as dashboard:
        tell_load_elsewhere(document, settings.limits)
        run = dashboard.submit(document)
        if new:
            complain(f"Made a new database: {full_path(settings)}.")
        if not dashboard.remote:
            complain(f"No dashboard has {full_path(settings)}: measuring here.")
        if wait or not dashboard.remote:
            run = dashboard.wait(run["id"], _silent if as_json else ProgressLines())
    if as_json:
        print_json(run)
    else:
        print_run(run, dashboard.url)
        print_objectives(run)
    raise typer.Exit(run_exit_code(run, strict=strict))


@cli.command("compare")
def compare_runs(
    context: typer.Context,
    runs: Annotated[list[str], typer.Argument(help="2 to 12 run ids; the first is the baseline.")],
    as_json: AsJson = False,
    db: DatabaseOption = None,
) -> None:
    """Put finished runs side by side, also with results of other tools."""
    ids, baseline = compared_ids(",".join(runs), None)
    settings = settings_of(context, db)
    with connect_to_read(settings) as dashboard:
        try:
            comparison = dashboard.compare(ids, baseline)
        except NotFound as error:
            raise NotFound(
                f"{error} Looked in {full_path(settings)}: name another with --db."
            ) from None
    if as_json:
        print_json(comparison)
    elif "results" in comparison:
        print_measurements(comparison)
    else:
        print_comparison(comparison)


ExperimentFile = Annotated[
    Path | None,
    typer.Argument(
        help="A file (TOML or JSON), or a bundled slug (--list); with --confirm or --show an id."
    ),
]
Listed = Annotated[
    bool, typer.Option("--list", help="Name the bundled experiments, and how long they take.")
]
Confirm = Annotated[
    bool, typer.Option("--confirm", help="Measure the experiment of this id on fresh blocks.")
]
Shown = Annotated[
    bool, typer.Option("--show", help="Print the experiment of this id, and measure nothing.")
]
MarkdownFile = Annotated[
    Path | None, typer.Option(help="Write a short comment for a pull request to this file.")
]


@cli.command("experiment", epilog=EXPERIMENT_EXIT_CODES)
def decide_experiment(
    context: typer.Context,
    file: ExperimentFile = None,
    listed: Listed = False,
    full: Annotated[bool, typer.Option("--full", help="All blocks of a bundled one.")] = False,
    confirm: Confirm = False,
    show: Shown = False,
    blocks: Annotated[int | None, typer.Option(help="Another maximum of blocks.")] = None,
    strict: Strict = False,
    as_json: AsJson = False,
    markdown: MarkdownFile = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML to this file.")] = None,
    db: DatabaseOption = None,
) -> None:
    """Run the trials of several arms in turns, and decide over them with an interval.

    Without a dashboard it is measured here and now.
    """
    settings = (settings_with_database if confirm or show else settings_of)(context, db)
    if listed:
        _list_bundled(settings, as_json=as_json)
        return
    if file is None:
        raise SettingsError("Name a file, or a bundled experiment: --list tells which there are.")
    reports = report_files(markdown, junit)
    given = None if confirm or show else _experiment(file, blocks, full=full)
    with (connect_to_read if show else connect)(settings) as dashboard:
        found: Document | None
        if show:
            found = dashboard.experiment(str(file))
        else:
            made = _submitted(dashboard, given, str(file), blocks, settings.limits)
            found = experiment_result(dashboard, made["id"], _silent if as_json else BlockLines())
    if found is None:
        raise typer.Exit(NOT_FINISHED)
    for path, written in reports.items():
        path.write_text(written(found, dashboard.url or ""), encoding="utf-8")
    _print_found(found, dashboard.url, as_json=as_json)
    raise typer.Exit(experiment_exit_code(found, strict=strict))


def _print_found(found: Document, url: str | None, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        print_experiment(found, url)


def _submitted(
    dashboard: DashboardClient,
    given: Document | None,
    confirmed: str,
    blocks: int | None,
    limits: Limits,
) -> Document:
    """Hand in the document of an experiment; None: measure the `confirmed` one anew."""
    document = dashboard.confirmation(confirmed, blocks) if given is None else given
    tell_load_elsewhere(document, limits)
    if given is None:
        return dashboard.confirm_experiment(confirmed, blocks)
    return dashboard.submit_experiment(document)


def _list_bundled(settings: Settings, *, as_json: bool) -> None:
    with connect(settings) as dashboard:
        print_bundled(dashboard.bundled(), as_json=as_json)


def _experiment(file: Path, blocks: int | None, *, full: bool) -> Document:
    document = experiment_file(file, full=full)
    return document if blocks is None else document | {"blocks": blocks}


@cli.command("noise-floor", epilog=MEASURED_EXIT_CODES)
def measure_noise_floor(
    context: typer.Context,
    spec: SpecFile = None,
    as_json: AsJson = False,
    db: DatabaseOption = None,
) -> None:
    """Measure a spec against itself, and print how small a difference this machine can show.

    Without a spec it is items of the bundled application. Every experiment adds to what is known.
    """
    given = None if spec is None else with_row_files(read_json_file(spec), spec.parent)
    document, settings = noise_experiment(given), settings_of(context, db)
    with connect(settings) as dashboard:
        report = _silent if as_json else BlockLines()
        tell_load_elsewhere(document, settings.limits)
        made = dashboard.submit_experiment(document)
        found = experiment_result(dashboard, made["id"], report)
        floors = dashboard.noise_floors() if found else {"noise_floors": []}
    if as_json:
        print_json(floors)
    else:
        print_noise_floors(floors)
    code = experiment_exit_code(found, strict=False) if found else NOT_FINISHED
    raise typer.Exit(code if code in {NOT_FINISHED, INVALID} else 0)


@cli.command("ceiling", epilog=MEASURED_EXIT_CODES)
def measure_ceilings(
    context: typer.Context,
    strategies: Annotated[
        list[str] | None, typer.Argument(help="Client strategies; all if none is named.")
    ] = None,
    as_json: AsJson = False,
    db: DatabaseOption = None,
) -> None:
    """Measure the most that each client can send on this machine, and keep it."""
    from control_plane.analysis.client_ceiling import ceiling_clients, ceiling_submission

    documents = [ceiling_submission(client) for client in ceiling_clients(strategies or ())]
    with connect(settings_of(context, db)) as dashboard:
        runs = [dashboard.submit(document) for document in documents]
        ended = [
            dashboard.wait(run["id"], _silent if as_json else ProgressLines(titled=True))
            for run in runs
        ]
        found = dashboard.ceilings()
    if as_json:
        print_json(found)
    else:
        print_ceilings(found)
    for run in ended:
        if run["state"] != "finished":
            complain(f"{run['title']}: {run['state']}, {run['reason']}")
    codes = {run_exit_code(run) for run in ended}
    raise typer.Exit(NOT_FINISHED if NOT_FINISHED in codes else max(codes))


@cli.command("doctor")
def examine_machine(
    context: typer.Context, as_json: AsJson = False, db: DatabaseOption = None
) -> None:
    """Tell what this machine has for Looplab, what is doubtful, and how to mend it.

    The exit code is 1 where something keeps Looplab from working.
    """
    from control_plane.doctor import examine

    found = list(examine(settings_of(context, db)))
    if as_json:
        print_json({"examined": [asdict(thing) for thing in found]})
    else:
        for thing in found:
            print_line(f"{thing.level:6} {thing.name:12} {thing.text}")
            if thing.remedy:
                print_line(f"{'':20}{thing.remedy}")
    raise typer.Exit(int(any(thing.level == "bad" for thing in found)))


cli.add_typer(measuring_commands)
cli.add_typer(database_commands)


def _silent(run: Document) -> None:
    del run
