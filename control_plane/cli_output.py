"""Runs and comparisons as a terminal shows them."""

import codecs
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from control_plane.analysis.field_labels import address_facts, settings_text
from control_plane.analysis.run_labels import configuration_names
from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.metrics_and_objectives import ERRORS_OR_NO_ANSWER, METRIC
from control_plane.domain.result import EarlyRequests
from control_plane.domain.run import State
from control_plane.domain.spec_json import Document, stored_spec
from control_plane.domain.times_and_percentiles import (
    AT_LEAST,
    AT_LEAST_NOTE,
    NO_ANSWER,
    PERCENTILES,
    Unanswered,
    begins_early,
    no_answer_text,
    support_level,
)
from control_plane.domain.units import NONE, WRITTEN, number_of, rate, ratio, seconds, share, size

STYLES = {"full": "", "greyed": "dim", "void": "dim strike"}
TRUST_MARKS = {"full": "", "greyed": "~", "void": "!"}
"""What stands before a number, so that it is told without colours, too."""

_MARKS_MEAN = {
    "greyed": "~ only 10 to 99 samples lie above it",
    "void": "! of an invalid run: not to be used",
}
_PLAIN = {
    "\N{EN DASH}": "-", "\N{EM DASH}": "-", "\N{MINUS SIGN}": "-", "\N{MULTIPLICATION SIGN}": "x",
    "\N{GREATER-THAN OR EQUAL TO}": ">=", "\N{LESS-THAN OR EQUAL TO}": "<=", "\N{MICRO SIGN}": "u",
    "\N{ALMOST EQUAL TO}": "~", "\N{PLUS-MINUS SIGN}": "+-", "\N{NO-BREAK SPACE}": " ",
    "\N{NARROW NO-BREAK SPACE}": " ", "\N{THIN SPACE}": " ", "\N{RIGHTWARDS ARROW}": "->",
    "\N{MIDDLE DOT}": "*", "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{BOX DRAWINGS LIGHT HORIZONTAL}": "-",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'", "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"', "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
}  # fmt: skip
_WIDEST = 100_000
PRINTED_LOG_LINES = 10
"""How many of the last lines of a target are shown under a run that failed."""
out, err = Console(highlight=False), Console(stderr=True, highlight=False)


def print_what_encodings_lack() -> None:
    """Let both outputs print `x` for a sign such as the one of times that their encoding lacks."""
    codecs.register_error("looplab_plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="looplab_plain")


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(sign, "?") for sign in lacking), error.end


def complain(text: str) -> None:
    """Print one line on standard error, as it is."""
    err.print(text, soft_wrap=True, markup=False)


def print_json(document: Document) -> None:
    """Print a document with indents and, on a terminal, colours."""
    unicode = out.encoding.lower().startswith("utf")
    out.print_json(json.dumps(document), ensure_ascii=not unicode)


class ProgressLines:
    """Prints a line when a run moved, without a terminal by a tenth; `titled`: one of several.

    That late answers are awaited is said once for each trial, with their number by then.
    """

    def __init__(self, *, titled: bool = False) -> None:
        self._titled, self._said = titled, ("", 0)

    def __call__(self, run: Document) -> None:
        if not (progress := run["progress"]):
            return
        awaited = progress.get("awaited", 0)
        line = _place(run, titled=self._titled)
        moved = line if err.is_terminal else f"{run['state']} {int(10 * progress['share'])}"
        said = ("awaiting" if awaited else moved, progress["trial"])
        if said != self._said:
            complain(f"{line}{_awaiting(awaited, run) if awaited else ''}")
        self._said = said


def print_run(run: Document, url: str | None) -> None:
    """Print state, address and validity, then one line for each stream."""
    for line in _lines(run, url):
        print_line(line)


def print_comparison(comparison: Document) -> None:
    """Print its sentence, then values with their ratio to the first run, unless it is refused.

    Percentiles are dim with `~` before them with 10 to 99 samples beyond, a dash below; numbers of
    invalid runs are struck out with `!` before them. On a terminal that is too narrow for all runs
    some follow below the others.
    """
    for said in filter(
        None, (comparison.get(part) for part in ("without", "asked", "sentence", "catch"))
    ):
        print_line(said)
    runs = comparison["runs"]
    for table in _fitting(comparison, runs):
        print_table(table)
    for line in (
        *filter(None, [comparison.get("several_fields")]),
        *_meant_by_marks(comparison, runs),
        *_resultless(runs),
        *_doubted(runs, comparison.get("catch", "")),
    ):
        print_line(line)


def print_measurements(comparison: Document) -> None:
    """Print runs and results of other tools side by side: none is judged against another."""
    results = comparison["results"]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Metric", no_wrap=True)
    for result in results:
        table.add_column(Text(result["title"]), justify="right", no_wrap=True)
    for head, key in (("Measured", "judgement"), ("Clock", "clock"), ("Requests of", "stream")):
        table.add_row(head, *(Text(result[key]) for result in results))
    for row in comparison["rows"]:
        table.add_row(row["label"], *(row["texts"][result["id"]] for result in results))
    print_table(table)
    print_line(comparison["note"])


def _fitting(comparison: Document, runs: Sequence[Document]) -> Iterator[Table]:
    """Yield one table, or as many as a terminal needs to show each run in its whole width."""
    table = _table_of(comparison, runs)
    if not out.is_terminal or len(runs) == 1 or _width(table) <= out.width:
        yield table
        return
    middle = (len(runs) + 1) // 2
    yield from _fitting(comparison, runs[:middle])
    yield from _fitting(comparison, runs[middle:])


def _table_of(comparison: Document, runs: Sequence[Document]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("Stream", "Metric"):
        table.add_column(title, no_wrap=True)
    heads = dict(
        zip(
            [run["id"] for run in comparison["runs"]],
            _heads(comparison["runs"], comparison["labels"]),
            strict=True,
        )
    )
    for run in runs:
        table.add_column(heads[run["id"]], justify="right", no_wrap=True)
    base = next(run for run in comparison["runs"] if run["id"] == comparison["baseline"])
    for row in comparison["rows"]:
        cells = (_cell(row, run, base) for run in runs)
        table.add_row(Text(row["stream"]), METRIC[row["metric"]].label, *cells)
    return table


def _width(table: Table) -> int:
    return out.measure(table, options=out.options.update(width=_WIDEST)).maximum


def print_table(table: Table) -> None:
    """Print it as wide as its content is, however wide the output is."""
    lines = out.render_lines(table, out.options.update(width=_width(table)), pad=False)
    for line in lines:
        out.print(Segments([*line, Segment.line()]), soft_wrap=True, end="")


def print_line(text: str) -> None:
    """Print one line on standard output, as it is."""
    out.print(text, soft_wrap=True, markup=False)


def _meant_by_marks(comparison: Document, runs: Sequence[Document]) -> Iterator[str]:
    """Yield what each mark means that stands before a number of the table."""
    levels = {
        _level(run, row["stream"], row["metric"])
        for row in comparison["rows"]
        for run in runs
        if row["values"][run["id"]] is not None
    }
    yield from (text for level, text in _MARKS_MEAN.items() if level in levels)
    if any(row.get("at_least") or row.get("unanswered") for row in comparison["rows"]):
        yield AT_LEAST_NOTE


def print_ceilings(found: Document) -> None:
    """Print the newest of each client that counts on this machine, and why any is suspect."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Client")
    for head in ("Tops out at", "Responder CPU", "Validity", "Measured", "Run"):
        table.add_column(head, justify="right", no_wrap=True)
    here = _ceilings_here(found)
    for ceiling in here:
        table.add_row(
            ceiling["name"],
            ("≥ " if ceiling["at_least"] else "") + rate(ceiling["throughput_per_s"]),
            share(ceiling["responder_cpu_share"]),
            ceiling["outcome"] or NONE,
            f"{ceiling['measured_at'][:16].replace('T', ' ')} UTC",
            ceiling["run"],
        )
    print_table(table)
    for ceiling in here:
        if ceiling.get("doubt"):
            print_line(f"{ceiling['name']} is {ceiling['outcome']}: {ceiling['doubt']}")


def _ceilings_here(found: Document) -> list[Document]:
    """Return the newest of each client, in the order in which the product lists strategies."""
    here: dict[str, Document] = {}
    for ceiling in found["ceilings"]:
        if ceiling["here"]:
            here.setdefault(ceiling["name"], ceiling)
    order = list(STRATEGIES)
    return sorted(here.values(), key=lambda ceiling: order.index(ceiling["strategy"]))


def _heads(runs: Sequence[Document], labels: Mapping[str, str]) -> Iterator[Text]:
    """Yield each run by its label, with its configuration unless the label ends with that."""
    names = configuration_names(
        [(run["id"], run["configuration"], run["spec"]["target"]) for run in runs]
    )
    for run, configuration in zip(runs, names, strict=True):
        label = labels[run["id"]]
        known = not configuration or label.endswith((f", {configuration}", f" {configuration}"))
        parts = [label, *([] if known else [configuration]), run["id"], _outcome(run)]
        yield Text("\n".join(parts))


def _resultless(runs: Sequence[Document]) -> Iterator[str]:
    from control_plane.analysis.prose.comparison_scope import ended_text

    for run in runs:
        state = State(run["state"])
        if state.terminal and state is not State.FINISHED:
            why = ended_text(state, run["reason"])
            yield f"{run['id']} is not compared: it left no result ({why})."


def _place(run: Document, *, titled: bool) -> str:
    progress = run["progress"]
    share_done = f"{progress['share']:.0%}"
    if titled:
        return f"{run['title']}: {run['state']}, {share_done}"
    return f"{run['state']}: trial {progress['trial']} of {progress['trials']}, {share_done}"


def _awaiting(awaited: int, run: Document) -> str:
    """Say how long late responses are awaited at most: each has its deadline."""
    late = number_of(awaited, "late answer")
    return f"; waiting for {late}, {run['spec']['timeout_s']:g} s at most"


def _doubted(runs: Sequence[Document], said: str) -> Iterator[str]:
    """Yield the reasons of each run that are not said yet."""
    for run in runs:
        outcome = _outcome(run)
        left = [reason for reason in run["validity"]["reasons"] if reason["text"] not in said]
        if left:
            worst = any(reason["level"] == outcome for reason in left)
            which = f"is {outcome}" if worst else "is also in doubt"
            yield f"{run['id']} {which}: {' '.join(reason['text'] for reason in left)}"


def _lines(run: Document, url: str | None) -> Iterator[str]:
    from control_plane.analysis.prose.run_sentences import early_errors_text, requests_before_text

    where = f"{url}/runs/{run['id']}" if url else run["id"]
    yield f"{run['state']}  {where}  {run['title']}"
    if run.get("configuration"):
        yield ", ".join([f"against {run['configuration']}", *_target_facts(run)])
    spec = stored_spec(json.dumps(run["spec"]))
    yield from (value.label for _, request in spec.requests() for value in request.rows)
    trials = run.get("trials") or ()
    if before := requests_before_text([trial["client"]["requests_before"] for trial in trials]):
        yield before
    if run.get("reason"):
        yield run["reason"]
        yield from run.get("hints", ())
        yield from (f"  {line}" for line in run.get("log", ())[-PRINTED_LOG_LINES:])
    if run.get("streams"):
        yield _outcome(run)
        yield from (f"{reason['text']}" for reason in run["validity"]["reasons"])
    for stream in run.get("streams") or ():
        errors = sum(stream["errors"].values())
        numbers = [rate(stream["throughput_per_s"]), *_percentiles(run, stream)]
        numbers += [number_of(errors, "error"), *_failed(stream), *_answer_size(stream)]
        doubt = ", of an invalid run" if _outcome(run) == "invalid" else ""
        yield f"{stream['name']}{doubt}: {', '.join(numbers)}"
    failures = run.get("failures") or ()
    yield from (f"first that failed: {failed['line']}" for failed in failures)
    if early := early_errors_text(_early(run)):
        yield early


def _target_facts(run: Document) -> Iterator[str]:
    addresses = [trial["target"]["address"] for trial in run.get("trials") or ()]
    yield from address_facts([*filter(None, addresses)])
    if read := settings_text(run.get("environment")):
        yield read


def _percentiles(run: Document, stream: Document) -> Iterator[str]:
    """Yield p50 and p99, the first byte where it comes early, and what is left unknown."""
    times = stream["response_time_s"] or {}
    for name in ("p50", "p99"):
        level = _level(run, stream["name"], name)
        if times.get(name) is not None and level != "hidden":
            mark = TRUST_MARKS["greyed"] if level == "greyed" else ""
            yield f"{name} {mark}{seconds(times[name])}"
    first, whole = (stream.get(f"{clock}_time_s") or {} for clock in ("first_byte", "service"))
    level = _level(run, stream["name"], "first_byte_time_s.p50")
    if level != "hidden" and begins_early(first.get("p50"), whole.get("p50")):
        mark = TRUST_MARKS["greyed"] if level == "greyed" else ""
        yield f"first byte p50 {mark}{seconds(first['p50'])}"
    unanswered = times.get("unanswered")
    if unanswered and any(times[name] is None for name in PERCENTILES):
        yield no_answer_text(Unanswered(**unanswered))


def _failed(stream: Document) -> Iterator[str]:
    """Yield what experiments count as failed, where that is more than errors."""
    if (failed := stream.get("failed_share")) and failed != stream["error_share"]:
        yield f"{ERRORS_OR_NO_ANSWER.lower()}: {share(failed)}"


def _answer_size(stream: Document) -> Iterator[str]:
    bytes_each = stream.get("bytes_received_per_request")
    if bytes_each is not None:
        yield f"{size(bytes_each)} an answer"


def _early(run: Document) -> list[EarlyRequests]:
    streams = (stream.get("before_window") for stream in run.get("streams") or ())
    return [EarlyRequests(**found) for found in streams if found]


def _outcome(run: Document) -> str:
    return str(run["validity"]["outcome"] or run["state"])


def _cell(row: Document, run: Document, base: Document) -> Text:
    value = row["values"][run["id"]]
    level = _level(run, row["stream"], row["metric"])
    if run["id"] in row.get("unanswered", ()):
        return Text(NO_ANSWER)
    if value is None or level == "hidden":
        return Text(NONE)
    sign = AT_LEAST if run["id"] in row.get("at_least", ()) else ""
    text = Text(f"{TRUST_MARKS[level]}{sign}{WRITTEN[row['unit']](value)}", STYLES[level])
    against = row["ratios"][run["id"]]
    other = _level(base, row["stream"], row["metric"])
    if against is None or other == "hidden" or run["id"] == base["id"]:
        return text
    worse = "void" if "void" in {level, other} else other if level == "full" else level
    return text.append(f" {ratio(against):>6}", STYLES[worse])


def _level(run: Document, stream: str, metric: str) -> str:
    """Return how far a number may be believed: full, greyed, void (invalid run) or hidden."""
    kind, _, part = metric.rpartition(".")
    times = _stream(run, stream).get(kind or "response_time_s")
    beyond = times["support"].get(part) if isinstance(times, dict) else None
    level = "full" if beyond is None else support_level(beyond)
    return "void" if level != "hidden" and _outcome(run) == "invalid" else level


def _stream(run: Document, name: str) -> Document:
    """Return a stream by its name in a comparison, which calls an only one as the baseline's."""
    streams: Sequence[Document] = run.get("streams") or ()
    if len(streams) == 1:
        return streams[0]
    return next((stream for stream in streams if stream["name"] == name), {})
