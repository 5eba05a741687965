"""The compare page in words: its sentence, its caveats, and what a ratio belongs to."""

import math
from collections.abc import Iterator, Sequence

from control_plane.analysis.causes import cause_clause
from control_plane.analysis.comparison import (
    PRIMARY,
    Comparison,
    MetricComparison,
    invalid,
    stream_of,
)
from control_plane.analysis.differences import HIDDEN_HERE, SERVER_SETTINGS, Difference, like_fields
from control_plane.analysis.prose import (
    Sentence,
    factor_text,
    joined,
    listed_runs,
    number,
    plain_text,
    sentence,
)
from control_plane.analysis.prose.comparison_scope import (
    answer_sizes,
    asked_of_runs,
    deleted_runs,
    excluded_runs,
    nothing_compared,
    session_clauses,
    unanswered_runs,
    unlike_cores,
    verdict_clause,
)
from control_plane.analysis.prose.experiment_sentences import REASONS
from control_plane.analysis.prose.run_sentences import KEPT_UP, headline, offered_per_s
from control_plane.analysis.run_labels import RunLabel
from control_plane.analysis.validity.judged_run import GATES
from control_plane.domain.api_documents import comparison_document, moment
from control_plane.domain.metrics_and_objectives import METRIC
from control_plane.domain.run import Run
from control_plane.domain.spec_json import Document
from control_plane.domain.times_and_percentiles import GREYED
from control_plane.domain.units import is_turned, number_of, seconds

MARGIN = math.log(1.03)
"""Ratios whose logarithm is closer to 0 are of no account."""


def contenders(comparison: Comparison, row: MetricComparison) -> list[tuple[RunLabel, float]]:
    """Return the runs with a ratio that may stand in the sentence, the largest ratio first."""
    if invalid(comparison.run(comparison.baseline)):
        return []
    found = [
        (comparison.label(run.id), ratio)
        for run in comparison.runs
        if run.id != comparison.baseline
        and (ratio := row.ratios[run.id]) is not None
        and not invalid(run)
    ]
    return sorted(found, key=lambda contender: -contender[1])


def ratio_clause(contender: RunLabel, ratio: float, requests: str, base: RunLabel) -> Sentence:
    """Return how a contender fares against the baseline: `B served 7.5 times the requests of A`.

    Below 1 `B served 17 % of the requests of A`. `requests` are `requests per second`, or those of
    a stream.
    """
    if 0.995 <= ratio < 1.005:
        return sentence(contender, f" served as many {requests} as ", base, " here")
    whole = f"{' of' if is_turned(ratio) else ''} the {requests} of "
    return sentence(contender, " served ", factor_text(ratio), whole, base, " here")


def short_ratio_clause(contender: RunLabel, ratio: float, base: RunLabel) -> Sentence:
    """Return how a further contender fares, to stand after the clause of another."""
    if 0.995 <= ratio < 1.005:
        return sentence(contender, " as many as ", base)
    return sentence(contender, " ", factor_text(ratio))


def request_noun(comparison: Comparison, stream: str) -> str:
    """Return `requests`; with the name of the stream where there are several."""
    return f"{stream} requests" if len(comparison.streams) > 1 else "requests"


NAMED_RATIOS = 2
"""More clauses than this make no sentence; more names explain nothing."""


def _separated(parts: Sequence[Sentence], separator: str) -> list[Sentence]:
    return [sentence(separator, part) if index else part for index, part in enumerate(parts)]


def disagreement(comparison: Comparison, row: MetricComparison) -> Sentence:
    """Return in which streams a run of the sentence does not fare as in that of `row`; else ()."""
    found = list(_turned(comparison, row))
    if not found:
        return ()
    base = comparison.label(comparison.baseline)
    clauses = [
        ratio_clause(label, ratio, f"{request_noun(comparison, stream)} per second", base)
        for stream, label, ratio in found[:NAMED_RATIOS]
    ]
    left = len(found) - NAMED_RATIOS
    more = f"; {left} more differ{'s' if left == 1 else ''}" if left > 0 else ""
    return sentence("Streams disagree: ", *_separated(clauses, "; "), f"{more}.")


def _turned(comparison: Comparison, row: MetricComparison) -> Iterator[tuple[str, RunLabel, float]]:
    """Return for each stream the first run that fares otherwise, and its ratio there."""
    named = contenders(comparison, row)
    for stream in comparison.streams:
        ratios = comparison.row(stream, PRIMARY).ratios
        for label, ratio in dict((named[0], named[-1])).items():
            other = ratios[label.id]
            if other is None or _planned(comparison, label, stream, other):
                continue
            if _direction(other) != _direction(ratio):
                yield stream, label, other
                break


def _direction(ratio: float) -> int:
    """Return 1 for more, -1 for less, 0 for as good as the same."""
    size = math.log(ratio)
    return 0 if abs(size) <= MARGIN else int(math.copysign(1, size))


def _planned(comparison: Comparison, label: RunLabel, stream: str, ratio: float) -> bool:
    """Whether both sides follow a schedule, and kept it: then their rates say nothing."""
    loads = [
        spec.load
        for run_id in (label.id, comparison.baseline)
        for spec in comparison.run(run_id).spec.workload.streams
        if spec.name == stream
    ]
    return _direction(ratio) == 0 and all(load.is_open for load in loads)


MOST_NAMED = 5
"""With more fields that differ, naming some of them explains nothing."""

_WORDS = ("No", "One", "Two", "Three", "Four", "Five")


def comparison_title(comparison: Comparison, stream: str | None = None) -> Sentence:
    """Return the sentence of the h1, of that stream where it has a ratio.

    It begins with `So far:` while a run is under way.
    """
    if len(comparison.runs) == 1:
        return headline(comparison.runs[0])
    waiting = [run for run in comparison.runs if not run.state.terminal]
    row = primary_row(comparison, stream)
    result = _result_sentence(comparison, row) if row else nothing_compared(comparison)
    if not waiting:
        return result
    done = len(comparison.runs) - len(waiting)
    so_far = sentence("So far: ", result, " ") if row else ()
    ended = ("No run has", "1 run has")[done] if done < 2 else f"{done} runs have"
    return sentence(so_far, f"{ended} ended, {len(waiting)} to come.")


def primary_row(comparison: Comparison, stream: str | None = None) -> MetricComparison | None:
    """Return throughput of that stream, else of the first for which a contender has a ratio."""
    names = (*((stream,) if stream else ()), *comparison.streams)
    rows = (comparison.row(name, PRIMARY) for name in names)
    return next((row for row in rows if contenders(comparison, row)), None)


def caveats(comparison: Comparison, stream: str | None = None) -> Sentence:
    """Return what the title alone would hide; empty where there is nothing.

    Which streams disagree, who takes no part, who is suspect, and what throughput does not show.
    `stream` as for the title.
    """
    row = primary_row(comparison, stream)
    found = [disagreement(comparison, row) if row else ()]
    if row:
        found += [answer_sizes(comparison, row.stream), *unanswered_runs(comparison, row.stream)]
        found.append(unlike_cores(comparison))
    found += [*list(excluded_runs(comparison))[:2], *_suspects(comparison), *_limited(comparison)]
    if row:
        found += [tell(comparison, row) for tell in (_as_offered, _held_back, _quickest_alone)]
    return sentence(*_separated([caveat for caveat in found if caveat], " "))


_COMMIT = "application_commit"


def shared_cause(comparison: Comparison) -> str | None:
    """Return what a ratio belongs to when several fields differ, or when none does; else None.

    Fields in which only runs without a result differ do not count.
    """
    able = [run.id for run in comparison.runs if not run.resultless]
    if len(able) < 2:
        return None
    labels = [
        field.label if field.field.startswith(SERVER_SETTINGS) else field.label.lower()
        for field in like_fields(comparison.differences, comparison.environment)
        if _differs(field, able)
    ]
    if not labels:
        return _no_field(comparison, able)
    if len(labels) == 1:
        return f"{HIDDEN_HERE} differs." if labels == [HIDDEN_HERE.lower()] else None
    if len(labels) > MOST_NAMED:
        return f"{len(labels)} fields differ, so a ratio belongs to no single one of them."
    named = labels if len(labels) <= 4 else [*labels[:3], f"{len(labels) - 3} more"]
    return f"{_WORDS[len(labels)]} fields differ, so a ratio belongs to {joined(named)} together."


def _no_field(comparison: Comparison, able: Sequence[str]) -> str:
    """Return that the spec is the same, and what is known of the code."""
    names = {comparison.own_names.get(run_id) for run_id in able}
    which = "Only the name of the stream" if len(names) > 1 else "No field"
    if any(_differs(fact, able) for fact in comparison.environment if fact.field == _COMMIT):
        return f"{which} differs, but the code does: its commit is another."
    doubt = "" if comparison.same_code else ", but whether of the same code is not known"
    known = " as far as is known" if doubt else ""
    return f"{which} differs{known}: the same spec was measured again{doubt}."


def _differs(field: Difference, runs: Sequence[str]) -> bool:
    values = [field.values[run_id] for run_id in runs if run_id in field.values]
    return any(value != values[0] for value in values)


def sessions_text(comparison: Comparison) -> str:
    """Return how many sessions the spec of each run has: `3 sessions of A, 1 session of B`."""
    counts = {comparison.label(run).letter: n for run, n in comparison.sessions.items()}
    shown = counts if len({*counts.values()}) != 1 else {"each": max(counts.values())}
    return ", ".join(f"{number_of(n, 'session')} of {which}" for which, n in shown.items())


def session_lines(comparison: Comparison, metrics: Sequence[str]) -> Iterator[str]:
    """Yield `Throughput: B against A: better, …` for each verdict on these metrics."""
    for row in (row for row in comparison.rows if row.metric in metrics):
        label = METRIC[row.metric].label
        named = f"{row.stream}, {label}" if len(comparison.streams) > 1 else label
        yield from (f"{named}: {plain_text(told)}" for told in session_clauses(comparison, row))


def no_verdict(comparison: Comparison) -> str:
    """Return why these numbers decide nothing yet."""
    if comparison.interleaved:
        return f"No verdict: {REASONS[comparison.interleaved.undecided or 'not_judged']}."
    single = all(run.spec.trials == 1 for run in comparison.runs)
    return f"{'One trial gives' if single else 'Single runs without an interval give'} no verdict."


def _result_sentence(comparison: Comparison, row: MetricComparison) -> Sentence:
    first, *others = contenders(comparison, row)
    base = comparison.label(comparison.baseline)
    requests = f"{request_noun(comparison, row.stream)} per second"
    named = [(first[0], ratio_clause(*first, requests, base))]
    named += [(label, short_ratio_clause(label, ratio, base)) for label, ratio in others[-1:]]
    judged = sum(label.id in row.verdicts for label, _ in named)
    further = [(label, sentence(label)) for label, _ in others[:-1] if label.id in row.verdicts]
    named += further[: NAMED_RATIOS - judged]
    told = [sentence(clause, verdict_clause(row, label.id)) for label, clause in named]
    end = "." if row.verdicts else f". {no_verdict(comparison)}"
    return sentence(*_separated(told, "; "), end)


def _suspects(comparison: Comparison) -> Iterator[Sentence]:
    """Return each suspect run with its reasons; those with the same kinds of them together."""
    by_gates: dict[tuple[str, ...], list[tuple[RunLabel, str]]] = {}
    for run in comparison.runs:
        if comparison.outcome(run) == "suspect":
            doubts = comparison.doubts(run)
            gates = tuple(reason.gate for reason in doubts)
            texts = " ".join(reason.text for reason in doubts)
            by_gates.setdefault(gates, []).append((comparison.label(run.id), texts))
    for gates, cases in by_gates.items():
        labels = [label for label, _ in cases]
        if len(cases) == 1:
            yield sentence(*labels, f" is suspect: {cases[0][1]}")
        else:
            why = joined(GATES[gate].headline for gate in gates)
            yield sentence(listed_runs(labels), f" are suspect: {why}.")


def _limited(comparison: Comparison) -> Iterator[Sentence]:
    """Return which clients were at their limit, where clients are compared."""
    labels = [
        comparison.label(run.id)
        for run in comparison.runs
        if comparison.clients_differ
        and run.validity is not None
        and any(reason.gate == "client_cpu" for reason in run.validity.reasons)
    ]
    if labels:
        told = " the client was at its limit: this compares clients; its page and history doubt it."
        yield sentence("In ", listed_runs(labels), told)


def _as_offered(comparison: Comparison, row: MetricComparison) -> Sentence:
    """Return which runs answered all that an open load offered: more was not asked of them."""
    able = [comparison.run(run_id) for run_id in _by_rate(comparison, row)]
    labels = [comparison.label(run.id) for run in able if _kept_up(run, row.stream)]
    if not labels:
        return ()
    return sentence(
        listed_runs(labels),
        " answered all that was offered: throughput tells what was asked, not what is possible.",
    )


def _kept_up(run: Run, stream: str) -> bool:
    found = stream_of(run, stream)
    offered = offered_per_s(run, found) if found else None
    return bool(found and offered and found.throughput_per_s >= KEPT_UP * offered)


def _held_back(comparison: Comparison, row: MetricComparison) -> Sentence:
    """Return the first cause of the run that serves least, unless the one that serves most has it.

    Clients at their limit are told elsewhere where clients are compared.
    """
    able = _by_rate(comparison, row)
    slow, quick = comparison.run(able[0]), comparison.run(able[-1])
    shared = {cause.cause for cause in quick.causes if cause.found}
    if comparison.clients_differ:
        shared.add("client_limited")
    own = [cause for cause in slow.causes if cause.found and cause.cause not in shared]
    return sentence("In ", comparison.label(slow.id), f" {cause_clause(own[0])}.") if own else ()


def _quickest_alone(comparison: Comparison, row: MetricComparison) -> Sentence:
    """Return in which run a single request took least, where another one serves most; else ()."""
    able = _by_rate(comparison, row)
    most = able[-1]
    waits = {run_id: _median_s(comparison.run(run_id), row.stream) for run_id in able}
    known = {run_id: wait_s for run_id, wait_s in waits.items() if wait_s is not None}
    if most not in known:
        return ()
    quick = min(known, key=lambda run_id: known[run_id])
    if quick == most or known[most] < 1.1 * known[quick]:
        return ()
    busy = _concurrency(comparison.run(most), row.stream)
    in_flight = f", which keeps {busy} requests in flight" if busy > 1 else ""
    return sentence(
        f"A single {request_noun(comparison, row.stream).removesuffix('s')} took least in ",
        comparison.label(quick),
        ": p50 ",
        number(seconds(known[quick])),
        " against ",
        number(seconds(known[most])),
        " in ",
        comparison.label(most),
        f"{in_flight}.",
    )


def _by_rate(comparison: Comparison, row: MetricComparison) -> list[str]:
    """Return ids of the baseline and of those with a ratio to it; who serves least comes first."""
    able = [*(label.id for label, _ in contenders(comparison, row)), comparison.baseline]
    return sorted(able, key=lambda run_id: row.values[run_id] or 0.0)


def _median_s(run: Run, stream: str) -> float | None:
    """Return the median of a stream; None where too few samples lie beyond it."""
    found = stream_of(run, stream)
    times = found.response_time_s if found else None
    return times.p50 if times and times.support.get("p50", 0) >= GREYED else None


def _concurrency(run: Run, stream: str) -> int:
    """Return the requests that are always in flight; 0 where their number is not given."""
    spec = next(spec for spec in run.spec.workload.streams if spec.name == stream)
    return spec.load.busy_users or 0


def described_comparison(comparison: Comparison) -> Document:
    """Return the document of `/api/compare`, `/compare.json` and `looplab compare`."""
    title, doubts = map(plain_text, (comparison_title(comparison), caveats(comparison)))
    document = comparison_document(comparison, title, doubts)
    return {
        "asked": plain_text(asked_of_runs(comparison)),
        **document,
        "several_fields": shared_cause(comparison) or "",
        "sessions": dict(comparison.sessions),
        "deleted": [
            {"id": run.id, "title": run.title, "deleted_at": moment(run.deleted_at)}
            for run in comparison.deleted
        ],
        "without": deleted_runs(comparison),
    }
