"""Runs and comparisons as the JSON objects that programs read. Datetimes are ISO 8601 with Z."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Protocol

from control_plane.domain.ids import run_address
from control_plane.domain.result import Cause, Progress
from control_plane.domain.run import Run
from control_plane.domain.spec_json import Document, write_spec
from control_plane.domain.tool_result import ToolResult


class ComparedField(Protocol):
    """A field that differs, and its value by run id."""

    @property
    def field(self) -> str: ...
    @property
    def values(self) -> Mapping[str, Any]: ...


class ComparedRow(Protocol):
    """One metric of one stream, by run id; a ratio is contender over baseline."""

    @property
    def stream(self) -> str: ...
    @property
    def metric(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def less_is_better(self) -> bool | None: ...
    @property
    def values(self) -> Mapping[str, float | None]: ...
    @property
    def ratios(self) -> Mapping[str, float | None]: ...
    @property
    def verdicts(self) -> Mapping[str, Any]: ...
    @property
    def at_least(self) -> Sequence[str]: ...
    @property
    def unanswered(self) -> Sequence[str]: ...


class ComparedLabel(Protocol):
    """What a run is called in sentence, legend and table."""

    @property
    def id(self) -> str: ...
    @property
    def text(self) -> str: ...


class Compared(Protocol):
    """What a comparison must offer to be written out."""

    @property
    def baseline(self) -> str: ...
    @property
    def measured_runs(self) -> Sequence[Run]: ...
    @property
    def labels(self) -> Sequence[ComparedLabel]: ...
    @property
    def differences(self) -> Sequence[ComparedField]: ...
    @property
    def environment(self) -> Sequence[ComparedField]: ...
    @property
    def rows(self) -> Sequence[ComparedRow]: ...


def tool_result_document(result: ToolResult) -> Document:
    """Return a result of another tool as the API gives it; null: the file does not tell it.

    `has_samples` of a stream: its percentiles come from a histogram, which others can be read from.
    """
    report = asdict(result.report)
    for place, stream in enumerate(report["streams"]):
        samples = result.samples[place] if result.samples else None
        stream["error_share"] = result.report.streams[place].error_share
        stream["has_samples"] = samples is not None
    return {
        "id": result.id,
        "title": result.title,
        "url": result.url,
        "imported_at": moment(result.imported_at),
        "judgement": result.judgement,
        "validity": {"outcome": None, "reasons": []},
        "file": asdict(result.file),
        **report,
        "measured_at": moment(result.report.measured_at),
        "facts": dict(result.report.facts),
    }


def run_document(run: Run, progress: Progress | None, hints: Sequence[str] = ()) -> Document:
    """Return a run as the API gives it; null: not measured, or does not apply.

    `hints` say what to do where its target did not start.
    """
    return {
        "id": run.id,
        "title": run.title,
        "tags": list(run.tags),
        "note": run.note,
        "state": run.state.value,
        "reason": run.reason,
        "url": run_address(run.id),
        "created_at": moment(run.created_at),
        "started_at": moment(run.started_at),
        "finished_at": moment(run.finished_at),
        "spec": write_spec(run.spec),
        "configuration": run.configuration,
        "command": run.command,
        "environment": dict(run.environment) if run.environment is not None else None,
        "validity": _validity(run),
        "objectives": [asdict(objective) for objective in run.objectives],
        "causes": [_cause(cause) for cause in run.causes if cause.found],
        "undecided": [_cause(cause) for cause in run.causes if cause.found is None],
        "ruled_out": [_cause(cause) for cause in run.causes if cause.found is False],
        "progress": asdict(progress) if progress else None,
        "trials": [asdict(trial) for trial in run.trials],
        "streams": [asdict(stream) for stream in run.streams],
        "failures": [{"line": failed.line, **asdict(failed)} for failed in run.failures],
        "log": list(run.log),
        "hints": list(hints),
        "origin": _origin(run),
    }


def _origin(run: Run) -> Document | None:
    if run.origin is None:
        return None
    return {**asdict(run.origin), "imported_at": moment(run.origin.imported_at)}


def comparison_document(comparison: Compared, sentence: str, catch: str) -> Document:
    """Return what `/api/compare` answers; its runs come without trials and logs.

    `sentence` and `catch` say first what the page says first; the catch may be empty.
    """
    runs = [run_document(run, None) for run in comparison.measured_runs]
    for run in runs:
        del run["trials"], run["log"], run["hints"]
    return {
        "baseline": comparison.baseline,
        "sentence": sentence,
        "catch": catch,
        "labels": {label.id: label.text for label in comparison.labels},
        "runs": runs,
        "differences": [_difference(field) for field in comparison.differences],
        "environment": [_difference(field) for field in comparison.environment],
        "rows": [_row(row) for row in comparison.rows],
    }


def moment(at: datetime | None) -> str | None:
    """Return a time as ISO 8601 with Z, `2026-11-20T14:02:00.000Z`; None for None."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _validity(run: Run) -> Document:
    if run.validity is None:
        return {"outcome": None, "reasons": [], "judged": []}
    return asdict(run.validity)


def _cause(cause: Cause) -> Document:
    return {"cause": cause.cause, "text": cause.text, "evidence": dict(cause.evidence)}


def _difference(compared: ComparedField) -> Document:
    return {"field": compared.field, "values": dict(compared.values)}


def _row(row: ComparedRow) -> Document:
    document = {
        "stream": row.stream,
        "metric": row.metric,
        "unit": row.unit,
        "less_is_better": row.less_is_better,
        "values": dict(row.values),
        "ratios": dict(row.ratios),
    }
    optional: Document = {
        "verdicts": {run_id: asdict(verdict) for run_id, verdict in row.verdicts.items()},
        "at_least": list(row.at_least),
        "unanswered": list(row.unanswered),
    }
    return document | {name: value for name, value in optional.items() if value}


def laid_over(base: Mapping[str, Any], patch: Mapping[str, Any]) -> Document:
    """Return `base` with `patch` over it: tables are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in patch.items():
        known = merged.get(key)
        both = isinstance(known, dict) and isinstance(value, dict)
        merged[key] = laid_over(known or {}, value) if both else value
    return merged
