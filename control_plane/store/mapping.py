"""How values lie in the rows of tables, and histograms in their blobs."""

import json
import logging
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic_core import to_json
from sqlalchemy.exc import NoResultFound

from control_plane.domain.errors import UnreadableRun
from control_plane.domain.ids import new_id
from control_plane.domain.metrics_and_objectives import JudgedObjective
from control_plane.domain.observations import Gauges, UseGauges
from control_plane.domain.result import Cause, Environment, Summary, Timeline, Trial, Validity
from control_plane.domain.run import DeletedRun, Origin, Run, State, StreamResult, TrialResult
from control_plane.domain.spec import Spec
from control_plane.domain.spec_json import adapter, spec_digest, stored_spec
from control_plane.domain.stream_record import Second, Slices
from control_plane.domain.times_and_percentiles import PERCENTILES, percentile_level
from control_plane.domain.unanswered import as_told_now
from control_plane.store.tables import (
    DeletedRunRow,
    RunFacts,
    RunRow,
    RunStream,
    TrialRow,
    TrialStream,
)

if TYPE_CHECKING:
    from control_plane.domain.histogram import Histogram, Integers

log = logging.getLogger("looplab.store")

_ODD = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    struct.error,
    zlib.error,
    NoResultFound,
)
"""What is raised where rows hold something else than was written there."""


@contextmanager
def readable(*ids: str, kind: str = "run") -> Iterator[None]:
    """Raise UnreadableRun where what the rows of a run, or of another `kind`, hold is odd."""
    try:
        yield
    except _ODD as fault:
        named = ", ".join(map(str, ids))
        log.warning("what the database holds of %s %s: %s", kind, named, fault)
        which = f"{kind.capitalize()} {named}" if len(ids) == 1 else f"One of {named}"
        raise UnreadableRun(
            f"{which} cannot be read: something else changed what the database holds of it."
        ) from fault


_HEADER = struct.Struct("<Iqq16s")
_SECOND = struct.Struct("<iq")
_LEVEL = 1
_MOST_BYTES = 512_000_000
"""An hour of seconds, each with its thousands of buckets, is far below."""
_BY_COLUMNS = b"\x01"
"""Stands before the columns of slices; without it zlib's own first byte, 0x78, is the first."""
_MOST_BYTES_OF_ONE = _HEADER.size + 10 * 2**16
"""A bucket has an index of 16 bits and a count of 64."""


def pack_histogram(histogram: "Histogram") -> bytes:
    """Return the blob of one histogram."""
    return zlib.compress(_raw(histogram), _LEVEL)


def _packed_if_known(histogram: "Histogram | None") -> bytes | None:
    return None if histogram is None else pack_histogram(histogram)


def unpack_histogram(blob: bytes) -> "Histogram":
    """Return what `pack_histogram` packed."""
    return _histogram(_inflated(blob, _MOST_BYTES_OF_ONE))


def pack_seconds(seconds: Sequence[Second], most: int = _MOST_BYTES) -> bytes | None:
    """Return the response times of each second as one blob; None where it is too large to read."""
    raw = Slices.of(seconds).to_bytes()
    if len(raw) > most:
        log.warning("the response times of each second are not kept: %s bytes", f"{len(raw):,}")
        return None
    return _BY_COLUMNS + zlib.compress(raw, _LEVEL)


def unpack_slices(blob: bytes) -> Slices:
    """Return what `pack_seconds` packed, also that of before schema 0026."""
    if blob.startswith(_BY_COLUMNS):
        return Slices.from_bytes(_inflated(blob[len(_BY_COLUMNS) :]))
    return Slices.joined(list(_slices(_inflated(blob))))


def _inflated(blob: bytes, most: int = _MOST_BYTES) -> bytes:
    """Return what was compressed. Raises zlib.error for half of it, or more than is ever kept."""
    inflating = zlib.decompressobj()
    raw = inflating.decompress(blob, most)
    if inflating.unconsumed_tail or not inflating.eof:
        raise zlib.error("A histogram is not whole, or too large.")
    return raw


def _slices(raw: bytes) -> "Iterator[tuple[int, Integers, Integers]]":
    """Yield each second, skipping its service times, which were stored in front of the others."""
    import numpy as np

    at = 0
    while at < len(raw):
        index, _ = _SECOND.unpack_from(raw, at)
        at += _SECOND.size
        at += _HEADER.size + 10 * _HEADER.unpack_from(raw, at)[0]
        size = _HEADER.unpack_from(raw, at)[0]
        at += _HEADER.size
        yield (
            index,
            np.frombuffer(raw, "<u2", size, at),
            np.frombuffer(raw, "<i8", size, at + 2 * size),
        )
        at += 10 * size


def _raw(histogram: "Histogram") -> bytes:
    """Return the bytes before compression. The sum has 16: 10^7 requests of 2 h pass 2^63 ns."""
    header = _HEADER.pack(
        len(histogram.indices),
        histogram.minimum_ns,
        histogram.maximum_ns,
        histogram.sum_ns.to_bytes(16, "little", signed=True),
    )
    indices = histogram.indices.astype("<u2").tobytes()
    return header + indices + histogram.counts.astype("<i8").tobytes()


def _histogram(raw: bytes) -> "Histogram":
    import numpy as np

    from control_plane.domain.histogram import Histogram

    size, minimum_ns, maximum_ns, total = _HEADER.unpack_from(raw)
    indices = np.frombuffer(raw, "<u2", size, _HEADER.size).astype(np.int64)
    counts = np.frombuffer(raw, "<i8", size, _HEADER.size + 2 * size).astype(np.int64)
    sum_ns = int.from_bytes(total, "little", signed=True)
    return Histogram(indices, counts, minimum_ns, maximum_ns, sum_ns)


T = TypeVar("T")


@dataclass(frozen=True)
class Draft:
    """A run to be queued; title and tags come from the spec.

    `configuration` tells the parts of its target, `given_name` is what somebody calls them.
    `secrets` are the values that the spec has placeholders for, as JSON by digest; None for those
    that the database has.
    """

    spec: Spec
    configuration: str = ""
    given_name: str | None = None
    secrets: Mapping[str, str | None] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The name of the configuration that is shown."""
        return self.given_name or self.configuration


def run_row(draft: Draft, now: datetime, key: str | None) -> RunRow:
    """Return the row of a run that is queued now; `key` is that of its submission."""
    return RunRow(
        id=new_id(),
        title=draft.spec.title,
        tags=tags_text(draft.spec.tags),
        state=State.QUEUED.value,
        created_at=now,
        strategy=draft.spec.client.strategy,
        configuration=draft.configuration,
        given_name=draft.given_name,
        application=draft.spec.target.application,
        submission=key,
        spec_digest=spec_digest(draft.spec),
    )


def facts_row(seq: int, draft: Draft) -> RunFacts:
    """Return the long part of a queued run: its spec."""
    return RunFacts(run=seq, spec=adapter(Spec).dump_json(draft.spec).decode())


def deleted_run_of(row: DeletedRunRow) -> DeletedRun:
    """Return what is left of a deleted run."""
    return DeletedRun(row.id, row.title, row.deleted_at, whole=row.state is not None)


def run_of(
    row: RunRow, facts: RunFacts, summaries: Sequence[str], trials: Sequence[str] = ()
) -> Run:
    """Return the run of these rows and of the documents of its streams and trials, in order."""
    texts = (row.id, row.title, row.note, row.reason, row.configuration, row.given_name)
    refuse_blobs(*texts, facts.command)
    spec = stored_spec(facts.spec)
    told = (adapter(Summary).validate_json(summary) for summary in summaries)
    return Run(
        id=row.id,
        title=row.title,
        tags=adapter(tuple[str, ...]).validate_json(row.tags),
        note=row.note,
        state=State(row.state),
        reason=row.reason,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        spec=spec,
        command=facts.command,
        environment=stored_environment(facts.environment),
        validity=adapter(Validity).validate_json(facts.validity) if facts.validity else None,
        trials=tuple(stored_trial(trial, spec) for trial in trials),
        streams=tuple(as_told_now(summary, spec) for summary in told),
        log=adapter(tuple[str, ...]).validate_json(facts.log),
        causes=adapter(tuple[Cause, ...]).validate_json(facts.causes) if facts.causes else (),
        configuration=row.given_name or row.configuration,
        given_name=row.given_name,
        objectives=adapter(tuple[JudgedObjective, ...]).validate_json(facts.objectives)
        if facts.objectives
        else (),
        origin=adapter(Origin).validate_json(row.origin) if row.origin else None,
        trial_rates=adapter(tuple[float, ...]).validate_json(facts.trial_rates or "[]"),
    )


def stored_environment(text: str | None) -> Environment | None:
    """Return the facts of an environment from their JSON; None where there is none."""
    return adapter(dict[str, Any]).validate_json(text) if text else None


def refuse_blobs(*texts: object) -> None:
    """Raise TypeError where a column of texts holds something else: SQLite takes any type."""
    for text in texts:
        if not isinstance(text, str | None):
            raise TypeError(f"{type(text).__name__} in the place of a text")


def stored_trial(document: str, spec: Spec) -> Trial:
    """Return the trial of a run with that spec from its JSON in the database."""
    trial = adapter(Trial).validate_json(document)
    return replace(trial, streams=tuple(as_told_now(part, spec) for part in trial.streams))


def tags_text(tags: Sequence[str]) -> str:
    """Return the tags as a JSON array."""
    return json.dumps(list(tags), ensure_ascii=False)


def log_text(lines: Sequence[str]) -> str:
    """Return the lines as a JSON array. A target may print half a character: it is replaced."""
    return json.dumps([line.encode(errors="replace").decode() for line in lines])


def environment_text(environment: Environment) -> str:
    """Return the environment as a JSON object."""
    return to_json(environment).decode()


def origin_text(origin: Origin) -> str:
    """Return the origin of an imported run as a JSON object."""
    return json_text(Origin, origin)


def validity_text(validity: Validity) -> str:
    """Return the validity as a JSON object."""
    return json_text(Validity, validity)


def causes_text(causes: tuple[Cause, ...]) -> str:
    """Return the causes as a JSON array."""
    return json_text(tuple[Cause, ...], causes)


def objectives_text(objectives: tuple[JudgedObjective, ...]) -> str | None:
    """Return the judged objectives as a JSON array; None of none."""
    return json_text(tuple[JudgedObjective, ...], objectives) if objectives else None


def run_stream_row(seq: int, place: int, result: StreamResult) -> RunStream:
    """Return the row of a stream whose trials are merged; `place` is its position in the spec."""
    return RunStream(
        run=seq,
        place=place,
        name=result.summary.name,
        summary=json_text(Summary, result.summary),
        service=pack_histogram(result.service),
        response=pack_histogram(result.response),
        first_byte=_packed_if_known(result.first_byte),
    )


def listed_numbers(streams: Sequence[Summary]) -> dict[str, float | None]:
    """Return what the row of a run holds of its first stream, which lists show and sort by."""
    if not streams:
        return {}
    first, times = streams[0], streams[0].response_time_s
    hidden = {name for name in PERCENTILES if percentile_level(times, name) == "hidden"}
    return {
        "first_rate_per_s": first.throughput_per_s,
        "first_error_share": first.error_share,
        **{
            f"first_{name}_s": None if times is None or name in hidden else times.percentile(name)
            for name in ("p50", "p95", "p99")
        },
    }


def stream_of(
    summary: Summary, response: bytes, service: bytes | None = None, first_byte: bytes | None = None
) -> StreamResult:
    """Return the stream of a row of `run_stream_row`; what is not given of it is empty."""
    from control_plane.domain.histogram import EMPTY

    return StreamResult(
        summary,
        EMPTY if service is None else unpack_histogram(service),
        unpack_histogram(response),
        first_byte=None if first_byte is None else unpack_histogram(first_byte),
    )


def trial_row(seq: int, result: TrialResult) -> TrialRow:
    """Return the row of a trial without its streams."""
    return TrialRow(
        run=seq,
        block=result.trial.block,
        document=json_text(Trial, result.trial),
        gauges=json_text(Gauges, result.gauges),
    )


def gauges_of(document: str, *, use: bool = False) -> Gauges:
    """Return the gauges of a trial from their JSON, or what is in `use` alone."""
    if use:
        return adapter(UseGauges).validate_json(document).gauges
    return adapter(Gauges).validate_json(document)


def trial_stream_row(row: TrialRow, place: int, result: StreamResult) -> TrialStream:
    """Return the row of one stream of a trial; `place` is its position in the spec."""
    timeline, seconds = result.timeline, result.seconds
    return TrialStream(
        run=row.run,
        block=row.block,
        place=place,
        name=result.summary.name,
        timeline=None if timeline is None else json_text(Timeline, timeline),
        service=pack_histogram(result.service),
        response=pack_histogram(result.response),
        seconds=None if seconds is None else pack_seconds((*result.warmup, *seconds)),
        first_byte=_packed_if_known(result.first_byte),
        send_lag=_packed_if_known(result.send_lag),
    )


def trial_stream_of(row: TrialStream, summary: Summary) -> StreamResult:
    """Return of one stream of a trial what a merged result is made of; no seconds."""
    return StreamResult(
        summary,
        unpack_histogram(row.service),
        unpack_histogram(row.response),
        send_lag=None if row.send_lag is None else unpack_histogram(row.send_lag),
        first_byte=None if row.first_byte is None else unpack_histogram(row.first_byte),
    )


def timeline_of(document: str) -> Timeline:
    """Return the timeline of a stream from its JSON."""
    return adapter(Timeline).validate_json(document)


def json_text(kind: type[T], value: T) -> str:
    """Return JSON. Raises ValueError now for what could not be read back, such as NaN."""
    text = adapter(kind).dump_json(value).decode()
    adapter(kind).validate_json(text)
    return text
