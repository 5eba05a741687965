"""What `looplab experiment` and `repeat` read and print; exit codes that say what verdicts say."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from control_plane.cli_options import (
    AGAINST,
    BAD_INPUT,
    EXIT_CODES,
    INVALID,
    NOT_FINISHED,
    UNDECIDED,
    AsJson,
    DatabaseOption,
    connect_to_look,
    settings_of,
)
from control_plane.cli_output import (
    ProgressLines,
    complain,
    print_comparison,
    print_json,
    print_line,
    print_table,
)
from control_plane.dashboard_client import (
    DashboardClient,
    NoDashboard,
    Report,
    fetch_shared,
    is_address,
    printable,
)
from control_plane.domain.errors import SettingsError
from control_plane.domain.ids import experiment_address, is_id
from control_plane.domain.metrics_and_objectives import JUDGED_METRIC, JudgedObjective
from control_plane.domain.run import State
from control_plane.domain.spec_json import Document
from control_plane.domain.tool_result import ToldOfFile
from control_plane.domain.units import NONE, WRITTEN, about, number_of, share
from control_plane.experiments.experiment_file import BLOCKS

ReportWriter = Callable[[Document, str], str]


def report_files(markdown: Path | None, junit: Path | None) -> dict[Path, ReportWriter]:
    """Return what writes each file that is asked for, of an experiment and the dashboard's address.

    Raises SettingsError for one that cannot be written, before anything is measured.
    """
    from control_plane.analysis.prose import markdown_and_junit as reports

    wanted: dict[Path | None, ReportWriter] = {
        markdown: lambda found, url: reports.experiment_markdown(
            found, f"{url}{experiment_address(found['id'])}" if url else ""
        ),
        junit: lambda found, _: reports.experiment_junit(found),
    }
    files = {path: writer for path, writer in wanted.items() if path is not None}
    for path in files:
        try:
            path.open("a").close()
        except OSError as error:
            raise SettingsError(f"{path}: {error.strerror}.") from None
    return files


def run_exit_code(run: Document, *, strict: bool = False) -> int:
    """Return the exit code that says the same as a run; 0 for one that is not over."""
    if State(run["state"]).terminal and run["state"] != State.FINISHED:
        return NOT_FINISHED
    if run["validity"]["outcome"] == "invalid":
        return INVALID
    outcomes = {objective["outcome"] for objective in run["objectives"]}
    if "failed" in outcomes:
        return AGAINST
    return UNDECIDED if strict and "undecided" in outcomes else 0


def print_objectives(judged: Document) -> None:
    """Print each objective of a run or of an experiment, the outcome first."""
    for objective in judged["objectives"]:
        print_line(f"Objective {objective['outcome']}: {JudgedObjective(**objective).text}")


def experiment_exit_code(found: Document, *, strict: bool) -> int:
    """Return the exit code that says the same as the verdict."""
    if any(arm["state"] != State.FINISHED for arm in found["runs"]):
        return NOT_FINISHED
    deciding = [verdict for verdict in found["verdicts"] if verdict["role"] != "exploratory"]
    if any(verdict["reason"] == "invalid_side" for verdict in deciding):
        return INVALID
    findings = {verdict["verdict"] for verdict in deciding}
    findings |= {objective["outcome"] for objective in found["objectives"]}
    if findings & {"worse", "broken", "failed"}:
        return AGAINST
    undecided = {"inconclusive", "likely_better", "likely_worse", "no_verdict", "undecided"}
    return UNDECIDED if strict and findings & undecided else 0


def experiment_result(
    dashboard: DashboardClient, experiment_id: str, report: Report
) -> Document | None:
    """Return an experiment once it is over; None where the dashboard ended before.

    An interruption says what becomes of it.
    """
    address = f"{dashboard.url or ''}{experiment_address(experiment_id)}"
    try:
        return dashboard.wait_for_experiment(experiment_id, report)
    except KeyboardInterrupt:
        complain(f"It goes on in the dashboard: {address}" if dashboard.remote else "Ended.")
        raise
    except NoDashboard as error:
        complain(f"{error} What was measured is at {address} once the dashboard runs again.")
        return None


class BlockLines:
    """Prints how long it takes before it starts, and a line when a block is complete."""

    def __init__(self) -> None:
        self._said = -1

    def __call__(self, found: Document) -> None:
        if found["blocks"] != self._said:
            first, self._said = self._said < 0, found["blocks"]
            of = f"{found['blocks']} of {number_of(found['design']['blocks'], 'block')}"
            said = found["sentence"]
            told = said if said.startswith(of) else f"{of}. {said}"
            left = about(found["remaining_s"])
            complain(f"{told} {f'It takes about {left}' if first else f'About {left} left'}.")


def print_bundled(found: Sequence[Document], *, as_json: bool) -> None:
    """Print the experiments that come with Looplab, and how long each variant takes."""
    if as_json:
        print_json({"experiments": found})
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("Slug", "Question", "Arms", "Quick", "Full"):
        table.add_column(title, no_wrap=True)
    for each in found:
        seconds = each["seconds"] or {}
        takes = (about(seconds[name]) if seconds else NONE for name in BLOCKS)
        table.add_row(each["slug"], each["question"], str(len(each["arms"])), *takes)
    print_table(table)
    for each in found:
        if each["refusal"]:
            print_line(f"{each['slug']}, not here: {each['refusal']}")


def print_experiment(found: Document, url: str | None) -> None:
    """Print its sentence, then a line for each metric that decides or guards."""
    from control_plane.analysis.prose.markdown_and_junit import doubts_text

    for told in filter(None, (found["sentence"], found["attempt"])):
        print_line(told)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("Metric", "Arm", found["runs"][0]["arm"], "Arm's own", "Ratio, 95 %", "Verdict"):
        table.add_column(title, no_wrap=title != "Verdict")
    for verdict in found["verdicts"]:
        if verdict["role"] != "exploratory":
            table.add_row(*_cells(verdict))
    print_table(table)
    print_objectives(found)
    for prediction in found["predictions"]:
        said = f"{prediction['outcome'].capitalize()}: {prediction['text']}"
        print_line(f"{said} ({prediction['told']})")
    for arm in found["runs"]:
        worth = f", {arm['validity']}" if arm["validity"] in {"suspect", "invalid"} else ""
        trials = number_of(arm["blocks"], "trial")
        told = f"{arm['arm']}: run {arm['id']}, {arm['state']}, {trials}{worth}"
        print_line(". ".join(filter(None, (told, arm["reason"], doubts_text(arm)))))
    if url:
        print_line(f"{url}/experiments/{found['id']}")


SHOWN_FLOORS = (
    "throughput_per_s",
    "response_time_s.p50",
    "response_time_s.p95",
    "response_time_s.p99",
    "cpu_s_per_request",
    "peak_memory_bytes",
)


def print_noise_floors(found: Document) -> None:
    """Print how small a difference some metrics can show, by blocks; JSON has all metrics."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    floors = [each for each in found["noise_floors"] if each["metric"] in SHOWN_FLOORS]
    blocks = list(floors[0]["floors"]) if floors else []
    titles = ("Load", "Metric", *(number_of(int(each), "block") for each in blocks), "Experiments")
    for title in titles:
        table.add_column(title, no_wrap=True)
    for each in floors:
        shown = (f"±{share(each['floors'][count])}" for count in blocks)
        table.add_row(each["kind"], each["label"], *shown, str(each["experiments"]))
    print_table(table)


def _cells(verdict: Document) -> tuple[str, ...]:
    # numpy takes a while to import, which no other command waits for.
    from control_plane.analysis.deciding.effects import Interval
    from control_plane.analysis.prose.experiment_sentences import ratio_with_interval
    from control_plane.analysis.prose.markdown_and_junit import shown_bounds, verdict_text

    metric = JUDGED_METRIC[verdict["metric"]]
    baseline, contender = (WRITTEN[metric.unit](value) for value in verdict["values"])
    interval = NONE
    low, high = shown_bounds(verdict)
    if verdict["ratio"] is not None and low is not None and high is not None:
        within = Interval(low, high)
        interval = " ".join(ratio_with_interval(verdict["ratio"], within))
    return metric.label, verdict["contender"], baseline, contender, interval, verdict_text(verdict)


measuring_commands = typer.Typer()
MOST_NAMED_RESULTS = 12
OfBundle = Annotated[
    str, typer.Argument(metavar="[ID]", help="Which result, where the bundle has several.")
]


@measuring_commands.command("repeat", epilog=EXIT_CODES)
def repeat_result(
    context: typer.Context,
    result: Annotated[
        str, typer.Argument(help="A bundle, a share link, or the id of a result here.")
    ],
    of_bundle: OfBundle = "",
    application: Annotated[
        list[str] | None,
        typer.Option("--application", help="What serves it here: NAME, or THEIRS=NAME."),
    ] = None,
    url: Annotated[
        list[str] | None,
        typer.Option("--url", help="A server that runs already: URL, or THEIRS=URL."),
    ] = None,
    start: Annotated[bool, typer.Option("--start", help="Start it, not only tell.")] = False,
    as_json: AsJson = False,
    db: DatabaseOption = None,
) -> None:
    """Show what repeating a result of another Looplab starts here; --start does, beside theirs.

    What is started comes from your settings; of theirs nothing is run.
    """
    here = settings_of(context, db)
    with _bundle_of(result) as named, connect_to_look(named, here, start=start) as dashboard:
        subject = _subject_of(named, result, of_bundle, dashboard)
        known = [each["name"] for each in dashboard.repeat(subject, {}, start=False)["targets"]]
        chosen = [_serving("application", application, known), _serving("url", url, known)]
        serve = {name: chosen[0].get(name, {}) | chosen[1].get(name, {}) for name in chain(*chosen)}
        planned = dashboard.repeat(subject, serve, start=False)
        for line in () if as_json else _repeat_lines(planned, start=start):
            print_line(printable(line))
        for line in planned["elsewhere"]:
            complain(printable(line))
        code = BAD_INPUT if planned["missing"] else 0
        if start and not planned["missing"]:
            planned = dashboard.repeat(subject, serve, start=True)
            code = _follow_repeat(dashboard, planned, as_json=as_json)
    if as_json:
        print_json(planned)
    raise typer.Exit(code)


@contextmanager
def _bundle_of(result: str) -> Iterator[str]:
    """Give the file that a share link leads to, for as long; anything else as it is."""
    if not is_address(result):
        yield result
        return
    with tempfile.TemporaryDirectory(prefix="looplab-shared-") as folder:
        file = Path(folder) / "shared.looplab"
        fetch_shared(result, file)
        yield str(file)


def _subject_of(named: str, result: str, of_bundle: str, dashboard: DashboardClient) -> str:
    """Return the id of what is repeated; a bundle is taken over first. Raises SettingsError.

    `named` is an id or the file of `result`, `of_bundle` one of several results in it, or "".
    """
    file = Path(named)
    if not file.is_file():
        if not is_id(named):
            raise SettingsError(f"{named} is no file, no share link, and no id of a result.")
        if of_bundle:
            raise SettingsError("A second id is that of a result in a bundle: name one of them.")
        return named
    from control_plane.store.bundles import is_sqlite

    if not is_sqlite(file):
        raise SettingsError(f"{file.name} is no bundle: looplab export --bundle makes one.")
    holds: list[str] = dashboard.import_file(file, ToldOfFile(file.name), complain)["holds"]
    if of_bundle in holds or (len(holds) == 1 and not of_bundle):
        return of_bundle or holds[0]
    told = f"{file.name} holds {number_of(len(holds), 'result')}"
    if not holds:
        raise SettingsError(f"{told} that can be repeated.")
    more = len(holds) - MOST_NAMED_RESULTS
    listed = f"{', '.join(holds[:MOST_NAMED_RESULTS])}{f' and {more:,} more' if more > 0 else ''}"
    lacks = f", and {of_bundle[:20]} is none of them" if of_bundle else ""
    raise SettingsError(
        f"{told}{lacks}: name one of them, as looplab repeat {result} {holds[0]}, of {listed}."
    )


def _serving(kind: str, chosen: list[str] | None, known: list[str]) -> dict[str, Document]:
    """Return what serves here by the names of their targets. Raises SettingsError."""
    from control_plane.analysis.prose import joined

    served: dict[str, Document] = {}
    for text in chosen or ():
        theirs = next((name for name in known if text.startswith(f"{name}=")), None)
        named, equals, _ = text.partition("=")
        if theirs is None and equals and "://" not in named:
            raise SettingsError(f"They measured no “{named}”, but {joined(known)}.")
        if theirs is None and len(known) > 1:
            which = f"--{kind} THEIRS={text}, of {', '.join(known)}"
            raise SettingsError(f"Say in the place of which of theirs: {which}.")
        name = known[0] if theirs is None else theirs
        served[name] = {kind: text.removeprefix(f"{theirs}=") if theirs else text}
    return served


def _repeat_lines(planned: Document, *, start: bool) -> Iterator[str]:
    """Yield what was measured elsewhere, and what this would start here."""
    yield f"{planned['title']}, measured on {planned['machine']} ({planned['id']})"
    yield f"They found: {planned['sentence']}"
    yield from (f"  {each['text']}" for each in planned["validity"])
    for request in planned["requests"]:
        yield f"  sends {request}{', which writes' if request in planned['writing'] else ''}"
    for target in planned["targets"]:
        if target["code"]:
            yield f"Their {target['name']}: {target['code']}"
        if target["command"]:
            commit = f", commit {target['commit']}," if target["commit"] else ""
            yield f"They started {target['name']}{commit} with (not run): {target['command']}"
        yield from (line for line in (target["here"], target["differs"]) if line)
    yield from (
        f"Starts here, on a free port in place of the one named: {command}"
        for command in planned["commands"]
    )
    yield from (f"Gets the load here: {address}" for address in planned["addresses"])
    yield from (f"Missing here: {each['message']}" for each in planned["missing"])
    if not start and not planned["missing"]:
        takes = about(planned["seconds"])
        yield f"Takes about {takes}. Nothing is started or kept without --start."


def _follow_repeat(dashboard: DashboardClient, planned: Document, *, as_json: bool) -> int:
    """Wait for what was started, and print it beside theirs, unless as JSON; the exit code."""
    made: Document = planned["started"]
    if planned["kind"] == "run":
        run = dashboard.wait(made["id"], ProgressLines())
        if not as_json:
            print_comparison(dashboard.compare([planned["id"], made["id"]], planned["id"]))
        return run_exit_code(run, strict=False)
    found = experiment_result(dashboard, made["id"], BlockLines())
    if found is None:
        return NOT_FINISHED
    if not as_json:
        print_experiment(found, dashboard.url)
        doubts = [each["text"] for each in planned["validity"] if each["outcome"] != "valid"]
        for line in (f"On {planned['machine']}: {planned['sentence']}", *doubts):
            print_line(printable(line))
    return experiment_exit_code(found, strict=False)
