"""What a comparison covers: what each run was asked, which take no part, and where answers differ.

It stands beside the title, which would hide it.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from operator import attrgetter

from pydantic_core import to_json

from control_plane.analysis.comparison import Comparison, MetricComparison, invalid, stream_of
from control_plane.analysis.deciding.effects import Interval
from control_plane.analysis.prose import Sentence, joined, listed_runs, number, sentence
from control_plane.analysis.prose.experiment_sentences import ratio_with_interval
from control_plane.analysis.run_labels import RunLabel, runs_with_result, unshared
from control_plane.domain.run import Run, State, listed_deleted
from control_plane.domain.spec import BaseRequest, RequestClass
from control_plane.domain.times_and_percentiles import cut_off, furthest_known, unanswered_clause
from control_plane.domain.units import count, number_of

NAMED_REQUESTS = 3
LONGEST_BODY = 60
_HOST = re.compile(r"127\.0\.0\.\d+")
_NUMBER = re.compile(r"\b\d{5}\b")
_EPHEMERAL = range(32_768, 61_000)

Describe = Callable[[BaseRequest], str]
_LINE: Describe = attrgetter("line")


def asked_of_runs(comparison: Comparison) -> Sentence:
    """Return `A asks GET /slow/, B asks GET /get.` and the same of their commands and settings.

    Empty where all were asked for the same.
    """
    runs = runs_with_result(comparison.runs)
    found = [_clause(comparison, runs, " asks ", request_phrases(runs))]
    found.append(_clause(comparison, runs, " first sends ", _before(runs)))
    found.append(_clause(comparison, runs, " runs ", own_commands(runs)))
    found.append(_clause(comparison, runs, " reads ", unasked_settings(runs)))
    clauses = [clause for clause in found if clause]
    return sentence(*(sentence(" ", clause) if at else clause for at, clause in enumerate(clauses)))


def _before(runs: Sequence[Run]) -> list[str]:
    """Return what each run sends before its load, where that differs; else empty strings.

    With the bodies, where the same requests are sent as often.
    """
    sent = [run.spec.before for run in runs]
    if all(other == sent[0] for other in sent):
        return [""] * len(runs)
    short = [[before.label for before in of_run] for of_run in sent]
    long = [[f"{before.label} {_body(before)}" for before in of_run] for of_run in sent]
    told = long if all(labels == short[0] for labels in short) else short
    return [joined(phrases) if phrases else "nothing" for phrases in told]


def deleted_runs(comparison: Comparison) -> str:
    """Return which runs it stands without, and what else is the baseline; empty without any."""
    gone = comparison.deleted
    if not gone:
        return ""
    text = f"Deleted, so not compared: {listed_deleted(gone)}."
    if any(run.was_baseline for run in gone):
        label = comparison.label(comparison.baseline)
        text += f" The baseline was deleted: {label.text} is the baseline now."
    return text


def own_commands(runs: Sequence[Run]) -> list[str]:
    """Return the command line of each run where two are commands of the settings that differ.

    Commands that differ in the port that they were given are the same. Empty strings otherwise.
    """
    commands = [
        run.command or ""
        if run.spec.target.started is not None and run.spec.target.started.server == "command"
        else ""
        for run in runs
    ]
    known = [command for command in commands if command]
    differ = any(not _same_command(known[0], command) for command in known[1:])
    return commands if differ else [""] * len(runs)


def unasked_settings(runs: Sequence[Run]) -> list[str]:
    """Return which settings, of those that differ, the server of each run reads unasked.

    Empty strings where none differ.
    """
    known = [dict((run.environment or {}).get("server_settings") or {}) for run in runs]
    shared = set.intersection(*({*settings.items()} for settings in known)) if known else set()
    own = [[item for item in settings.items() if item not in shared] for settings in known]
    if not any(own):
        return [""] * len(runs)
    phrases = [
        [f"{name} {text}" for name, text in items] or ["nothing beside its command line"]
        for items in own
    ]
    return [joined(phrase) for phrase in phrases]


def request_phrases(runs: Sequence[Run]) -> list[str]:
    """Return what each run asks for, with what differs of body, headers, rows and the rest of it.

    Empty strings where all ask for the same.
    """
    of_runs = [_requests(run) for run in runs]
    ways = [
        describe
        for describe in (_LINE, _body, _headers, _rows, _expected, _read)
        if _differ(of_runs, describe)
    ]
    if not ways:
        return [""] * len(runs)
    described = [
        [" ".join([request.line, *(way(request) for way in ways if way is not _LINE)])
         for request in requests]
        for requests in of_runs
    ]  # fmt: skip
    own = unshared(described)
    return [_listed(phrases or every) for phrases, every in zip(own, described, strict=True)]


def _requests(run: Run) -> list[BaseRequest]:
    return [request for stream in run.spec.workload.streams for request in stream.requests]


def _differ(of_runs: Sequence[Sequence[BaseRequest]], describe: Describe) -> bool:
    """Return whether runs differ in it, in whichever order: of the same line, else of all lines."""
    lines = [sorted(request.line for request in requests) for requests in of_runs]
    same_lines = all(other == lines[0] for other in lines)
    texts: list[Collection[tuple[str, str]]] = [
        sorted((request.line, describe(request)) for request in requests)
        if same_lines
        else {("", describe(request)) for request in requests}
        for requests in of_runs
    ]
    return any(other != texts[0] for other in texts)


def _listed(phrases: Sequence[str]) -> str:
    shown = list(dict.fromkeys(phrases))
    left = len(shown) - NAMED_REQUESTS
    return joined([*shown[:NAMED_REQUESTS], f"{left} more"] if left > 0 else shown)


def _body(request: BaseRequest) -> str:
    body = request.body
    if body is None:
        return "without a body"
    (content,) = vars(body).values()
    text = content if isinstance(content, str) else to_json(content).decode()
    shown = text if len(text) <= LONGEST_BODY else f"{text[: LONGEST_BODY - 1]}…"
    return f"with the body {shown} ({len(text):,} characters)"


def _headers(request: BaseRequest) -> str:
    names = sorted(request.headers, key=str.lower)
    if not names:
        return "without headers of its own"
    return f"with the header{'s' if len(names) > 1 else ''} {joined(names)}"


def _rows(request: BaseRequest) -> str:
    """Return `with {id} from 10 rows of ids.csv, in order (content 3f2a91c0)`."""
    found = [f"{value.label} (content {value.file.mark})" for value in request.rows]
    return f"with {joined(found)}" if found else "without rows of a file"


def _read(request: BaseRequest) -> str:
    until = request.until if isinstance(request, RequestClass) else None
    return "read to the end" if until is None else f"read {until.label}"


def _expected(request: BaseRequest) -> str:
    """Return `expecting 200, 1 to 5,000 bytes, the text "ok" and the JSON key items`."""
    expect = request.expect
    if expect is None:
        return "expecting 200 to 299"
    found = [", ".join(map(str, expect.statuses)) if expect.statuses else "200 to 299"]
    if expect.size_bytes is not None:
        found.append(expect.size_bytes.label)
    if expect.text is not None:
        text = expect.text
        shown = text if len(text) <= LONGEST_BODY else f"{text[: LONGEST_BODY - 1]}…"
        found.append(f"the text {shown!r}")
    if expect.json_key is not None:
        found.append(f"the JSON key {expect.json_key}")
    return f"expecting {joined(found)}"


def _clause(
    comparison: Comparison, runs: Sequence[Run], verb: str, phrases: Sequence[str]
) -> Sentence:
    """Join runs and what they ask for; runs that ask for the same stand together."""
    by_phrase: dict[str, list[RunLabel]] = {}
    for run, phrase in zip(runs, phrases, strict=True):
        if phrase:
            by_phrase.setdefault(phrase, []).append(comparison.label(run.id))
    if not by_phrase:
        return ()
    parts = [
        sentence(listed_runs(labels), verb if len(labels) == 1 else verb.replace("s ", " "), phrase)
        for phrase, labels in by_phrase.items()
    ]
    return sentence(*(sentence(", ", part) if at else part for at, part in enumerate(parts)), ".")


def _same_command(first: str, second: str) -> bool:
    first, second = _HOST.sub("{host}", first), _HOST.sub("{host}", second)
    if first == second:
        return True
    return any(
        first.replace(port, "{port}") == second.replace(other, "{port}")
        for port in _ports(first)
        for other in _ports(second)
    )


def _ports(command: str) -> list[str]:
    return [number for number in _NUMBER.findall(command) if int(number) in _EPHEMERAL]


def nothing_compared(comparison: Comparison) -> Sentence:
    """Return why no run has a ratio."""
    base = comparison.run(comparison.baseline)
    label = comparison.label(base.id)
    if all(run.resultless for run in comparison.runs):
        return sentence("Not compared: none of these runs left a result.")
    if invalid(base):
        return sentence(label, " is invalid, so nothing is set against it.")
    if base.resultless:
        ended = base.state.value if base.state is State.FAILED else f"was {base.state.value}"
        return sentence(label, f" {ended} and left no result: nothing is set against it.")
    return sentence("Not compared: ", _why_no_other(comparison, base))


def excluded_runs(comparison: Comparison) -> Iterator[Sentence]:
    """Return a sentence for each run that is not compared, with its reason."""
    for run in comparison.runs:
        label, refusal = comparison.label(run.id), comparison.refusals.get(run.id)
        if refusal and refusal.kind == "invalid":
            yield sentence(label, f" is invalid and takes no part: {refusal.text}")
        elif refusal and refusal.kind == "elsewhere":
            base = comparison.label(comparison.baseline)
            yield sentence(label, " and ", base, f" were measured on two machines: {refusal.text}.")
        elif refusal:
            yield sentence(label, f" was measured in another environment: {refusal.text}.")
    yield from _resultless(comparison)


def ended_text(state: State, reason: str | None) -> str:
    """Return `failed: exit code 3`, `cancelled in trial 2 of 3`, without a point at the end."""
    why = (reason or "no reason is known").rstrip(".")
    return why if why.startswith(state.value) else f"{state.value}: {why}"


def _why_no_other(comparison: Comparison, base: Run) -> str | Sentence:
    kinds = {refusal.kind for refusal in comparison.refusals.values()}
    if "elsewhere" in kinds:
        return "the machines differ, and each result stands for its own."
    if "machine" in kinds:
        return "the environments differ."
    if "invalid" in kinds:
        return _listed_invalid(comparison)
    if all(run.resultless or run is base for run in comparison.runs):
        return "no other run left a result."
    names = [
        {stream.name for stream in run.spec.workload.streams}
        for run in runs_with_result(comparison.runs)
    ]
    if not set.intersection(*names):
        return "the runs have no stream of the same name. Give the streams one name and run again."
    return "no other run has finished."


def _listed_invalid(comparison: Comparison) -> Sentence:
    refused = [id_ for id_, refusal in comparison.refusals.items() if refusal.kind == "invalid"]
    labels = [comparison.label(run_id) for run_id in refused]
    return sentence(listed_runs(labels), " is invalid." if len(labels) == 1 else " are invalid.")


def _resultless(comparison: Comparison) -> Iterator[Sentence]:
    """Return a run without a result with its reason; of several the labels alone.

    The run header has the reasons of all.
    """
    ended = [run for run in comparison.runs if run.resultless]
    labels = [comparison.label(run.id) for run in ended]
    if len(ended) == 1:
        yield sentence(*labels, _alone(ended[0], comparison))
    elif ended and len(ended) < len(comparison.runs):
        yield sentence(listed_runs(labels), " left no result and take no part.")


def _alone(run: Run, comparison: Comparison) -> str:
    """Return how the run ended; of a baseline the title says that nothing is set against it."""
    why = ended_text(run.state, run.reason)
    if run.id == comparison.baseline:
        return f" {why}." if run.state is State.FAILED else f" was {why}."
    return f" left no result and takes no part ({why})."


ALIKE = 1.1
"""Up to this ratio answers are called equally large."""


def answer_sizes(comparison: Comparison, stream: str) -> Sentence:
    """Return whose answers are of another size than those of the baseline; () where none is.

    `B answers 27 bytes where A answers 20,000.`
    """
    sizes = {
        run.id: found.bytes_received_per_request
        for run in comparison.runs
        if not invalid(run) and (found := stream_of(run, stream))
    }
    base = sizes.pop(comparison.baseline, None)
    others = [
        (comparison.label(run_id), size)
        for run_id, size in sizes.items()
        if size is not None and base is not None and _apart(size, base)
    ]
    if base is None or not others:
        return ()
    first, *more = (
        sentence(label, " answers ", number(number_of(size, "byte"))) for label, size in others[:2]
    )
    listed = [sentence(" and ", part) for part in more]
    label = comparison.label(comparison.baseline)
    return sentence(first, *listed, " where ", label, " answers ", number(count(base)), ".")


def _apart(size: float, base: float) -> bool:
    return max(size, base) > ALIKE * min(size, base)


def unlike_cores(comparison: Comparison) -> Sentence:
    """Return whose targets shared their cores with the client and whose did not; () where all are
    alike, or their specs say so.
    """
    runs = [run for run in runs_with_result(comparison.runs) if not invalid(run)]
    labels: dict[str, list[RunLabel]] = {"apart": [], "shared": []}
    for run in runs:
        policy = (run.environment or {}).get("core_policy")
        if policy in labels and run.spec.cores == "auto":
            labels[policy].append(comparison.label(run.id))
    if not all(labels.values()):
        return ()
    return sentence(
        "Their use of cores is not alike: target and client had cores of their own in ",
        listed_runs(labels["apart"]),
        " and shared all in ",
        listed_runs(labels["shared"]),
        ". Give all of them the same cores.",
    )


def unanswered_runs(comparison: Comparison, stream: str) -> Iterator[Sentence]:
    """Yield for each run that lacks answers how many, and how far it is compared."""
    for run in comparison.runs:
        found = stream_of(run, stream)
        times = found.response_time_s if found else None
        if times is None or times.unanswered is None or invalid(run) or not cut_off(times):
            continue
        known = furthest_known(times)
        so = f"nothing beyond {known} is" if known else "no time is"
        yield sentence(
            "In ",
            comparison.label(run.id),
            " ",
            number(unanswered_clause(times.unanswered)),
            f": {so} compared with it.",
        )


def session_clauses(comparison: Comparison, row: MetricComparison) -> Iterator[Sentence]:
    """Yield `B against A: better, ×1.5 [1.4, 1.6] over 3 sessions of each.` for each verdict.

    Of arms of one experiment `over 6 blocks`. Of what does not decide it ends in `, exploratory`.
    """
    base = comparison.label(comparison.baseline)
    for run_id in row.verdicts:
        told = verdict_clause(row, run_id)
        yield sentence(comparison.label(run_id), " against ", base, told, ".")


def verdict_clause(row: MetricComparison, run_id: str) -> Sentence:
    """Return `: better, ×1.5 [1.4, 1.6] over 6 blocks`; ` (no verdict)` where others have one."""
    if (found := row.verdicts.get(run_id)) is None:
        return sentence(" (no verdict)") if row.verdicts else ()
    ratio = " ".join(ratio_with_interval(found.ratio, Interval(found.low, found.high)))
    role = ", exploratory" if found.role == "exploratory" else ""
    word = found.verdict.replace("_", " ")
    return sentence(f": {word}, ", number(ratio), f" {found.over}{role}")
