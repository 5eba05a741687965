"""Runs with plausible numbers, made by the real summary, merge and gates from synthetic samples."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from control_plane.analysis.causes import diagnose
from control_plane.analysis.causes.evidence import Evidence
from control_plane.analysis.summary import merge, summarize
from control_plane.analysis.validity.judged_run import judge
from control_plane.domain.experiment import Experiment, read_experiment
from control_plane.domain.limits import Limits
from control_plane.domain.observations import Gauges, GaugeSeries
from control_plane.domain.result import Cause, ClientUse, Environment, TargetUse, Trial, Validity
from control_plane.domain.run import Run, RunDetail, State, StreamResult, TrialResult
from control_plane.domain.spec import Spec
from control_plane.domain.spec_json import read_spec
from control_plane.domain.stream_record import Slices
from control_plane.experiments.experiment_file import bundled_experiment
from control_plane.store.store import Draft, Store
from control_plane.targets.configurations import target_name
from tests.builders.probe import APPLICATION, stalls_of, workers_of
from tests.builders.records import Shape, record_of

COMMAND = "python -m uvicorn target_app.main:app --host 127.0.0.2 --port 41235 --loop uvloop"
LOG = (
    "INFO:     Started server process [41877]",
    "INFO:     Waiting for application startup.",
    "INFO:     Application startup complete.",
    "INFO:     Uvicorn running on http://127.0.0.2:41235 (Press CTRL+C to quit)",
)
ENVIRONMENT: Environment = {
    "hostname": "bench",
    "cpu_model": "AMD EPYC",
    "cpu_count": 2,
    "memory_bytes": 25_000_000_000,
    "system": "Linux",
    "kernel": "6.1.0",
    "python": "3.11.7",
    "fastapi": "0.165.0",
    "uvicorn": "0.54.0",
    "aiohttp": "3.14.0",
    "requests": "2.34.0",
    "commit": "1f0c2ab",
    "load_before": 0.06,
}
CREATED = datetime(2026, 11, 20, 14, 2, tzinfo=UTC)


SOURCE = {f"{APPLICATION}/movies.py:53": "    time.sleep(lasts_s)"}

ASYNC = Shape()
THREADED = Shape(1_720, 0.0032, 0.35, 0.03, client_cpu=1.0, target_cpu=0.33)
BLOCKING = Shape(1_920, 0.00047, 0.12, 0.01, client_cpu=0.79, target_cpu=0.34)
BLOCKED = Shape(4, 0.25, 0.02, 0.0, client_cpu=0.01, target_cpu=0.02, blocked=0.93)
EXHAUSTED = Shape(16, 0.25, 0.02, 0.0, client_cpu=0.02, target_cpu=0.03, waiting=60, threads=4)
LARGE_BODIES = replace(
    BLOCKING, rate_per_s=20, median_s=0.0012, tail_share=0.11, slow_s=1.05, client_cpu=0.12,
    target_cpu=0.61, blocked=0.53, stall_s=1.05,
)  # fmt: skip
FAILING = replace(ASYNC, errors={"timeout": 412, "reset": 9})
_CLASSIC = (("blocking", 1, BLOCKING), ("threaded", 6, THREADED), ("async", 100, ASYNC))


def items(**changes: Any) -> Spec:
    """The classic question, 24,999 item requests; `changes` replace top-level fields."""
    item_id = {"kind": "integer", "low": 1, "high": 24_999}
    stream = {
        "name": "items",
        "requests": [{"path": "/items/{item_id}", "values": {"item_id": item_id}}],
        "load": {"model": "closed", "concurrency": changes.pop("concurrency", 100)},
        "stop": changes.pop("stop", {"requests": 24_999}),
    }
    document = {"workload": {"streams": [stream]}, "title": "items, async", "trials": 3}
    return read_spec({**document, **changes}, Limits())


def classic(**changes: Any) -> list[tuple[Spec, Shape]]:
    """Blocking, threaded and async at 1, 6 and 100 users; `changes` as those of `items`."""
    return [
        (
            items(
                title=f"items, {strategy}",
                client={"strategy": strategy},
                concurrency=users,
                **changes,
            ),
            shape,
        )
        for strategy, users, shape in _CLASSIC
    ]


@dataclass(frozen=True)
class SpecByText:
    """A spec that equals another of the same text, and can be a key, as specs cannot."""

    text: str
    spec: Spec = field(compare=False)


def trial_of(spec: Spec, shape: Shape, block: int = 0) -> TrialResult:
    """Return the trial of a run; the same one whenever it is asked for."""
    return _trial(SpecByText(repr(spec), spec), shape, block)


@cache
def _trial(by_text: SpecByText, shape: Shape, block: int) -> TrialResult:
    spec = by_text.spec
    records = [
        record_of(stream, shape, 100 * block + at)
        for at, stream in enumerate(spec.workload.streams)
    ]
    window_s = max(record.duration_ns for record in records) / 1e9
    completed = sum(second.completed for record in records for second in record.seconds)
    streams = tuple(
        summarize(
            record,
            spec,
            target_cpu_s=shape.target_cpu * window_s,
            target_peak_memory_bytes=61_000_000 + 300_000 * block,
            completed_by_all=completed,
        )
        for record in records
    )
    trial = Trial(
        block=block,
        started_at=f"2026-11-20T14:0{2 + block % 7}:00.000Z",
        streams=tuple(record.summary for record in streams),
        target=TargetUse(
            "http://127.0.0.2:41235",
            ready_s=0.41,
            restarts=shape.restarts,
            cpu_s=shape.target_cpu * window_s,
            watched_s=window_s,
            cores=(0,),
            log=LOG,
        ),
        client=ClientUse(
            busiest_cpu_share=shape.client_cpu,
            cpu_s=shape.client_cpu * window_s,
            peak_memory_bytes=48_000_000,
            connections={record.name: record.connections for record in records},
            new_connections={record.name: record.new_connections for record in records},
            sent_again={record.name: record.sent_again for record in records},
            other_cpu=shape.other_cpu,
            cores=(1,),
            priority="normal",
        ),
    )
    return TrialResult(trial, streams, gauges_of(shape, window_s))


def gauges_of(shape: Shape, window_s: float) -> Gauges:
    steps = max(1, round(window_s / 0.5))
    wobble = 0.02 * np.sin(np.arange(steps))

    def series(pid: int, role: Any, share: float, memory: int) -> GaugeSeries:
        shares = tuple(float(value) for value in np.clip(share + wobble, 0, 1))
        return GaugeSeries(pid, role, shares, (memory,) * steps)

    return Gauges(
        0.5,
        (
            series(41_877, "target", shape.target_cpu, 61_000_000),
            series(41_880, "client", shape.client_cpu, 48_000_000),
            series(41_000, "control", 0.03, 90_000_000),
        ),
        workers_of(shape, window_s),
        stalls_of(shape, window_s),
    )


@dataclass(frozen=True)
class Outcome:
    """What trials came to together."""

    trials: tuple[TrialResult, ...]
    merged: tuple[StreamResult, ...]
    validity: Validity
    causes: tuple[Cause, ...]

    @property
    def parts(self) -> tuple[Trial, ...]:
        return tuple(each.trial for each in self.trials)


def outcome_of(spec: Spec, shapes: Sequence[Shape]) -> Outcome:
    """Return that of one trial for each shape; the same one whenever it is asked for."""
    return _outcome(SpecByText(repr(spec), spec), tuple(shapes))


@cache
def _outcome(by_text: SpecByText, shapes: tuple[Shape, ...]) -> Outcome:
    spec = by_text.spec
    trials = tuple(_trial(by_text, shape, block) for block, shape in enumerate(shapes))
    merged = merged_streams(trials)
    summaries = tuple(stream.summary for stream in merged)
    validity = judge([each.trial for each in trials], summaries, spec)
    return Outcome(trials, tuple(merged), validity, causes_of(spec, trials, merged, validity))


def detail_of(spec: Spec, shape: Shape, run_id: str = "k7m2000000") -> RunDetail:
    """A finished run with all that its pages draw, as the store would hand it out."""
    outcome = outcome_of(spec, [shape] * spec.trials)
    trials, merged = outcome.trials, outcome.merged
    run = Run(
        id=run_id,
        title=spec.title,
        tags=spec.tags,
        note="",
        state=State.FINISHED,
        reason=None,
        created_at=CREATED,
        started_at=CREATED + timedelta(seconds=1),
        finished_at=CREATED + timedelta(seconds=20),
        spec=spec,
        command=COMMAND,
        environment=ENVIRONMENT,
        validity=outcome.validity,
        trials=outcome.parts,
        streams=tuple(stream.summary for stream in merged),
        causes=outcome.causes,
        configuration=target_name(spec.target),
    )
    timelines = {
        stream.name: tuple(
            timeline for trial in trials if (timeline := trial.streams[at].timeline) is not None
        )
        for at, stream in enumerate(spec.workload.streams)
    }
    streams = {stream.summary.name: stream for stream in merged}
    slices = {
        stream.name: tuple(Slices.of(trial.streams[at].seconds or ()) for trial in trials)
        for at, stream in enumerate(spec.workload.streams)
    }
    return RunDetail(run, streams, timelines, tuple(trial.gauges for trial in trials), slices)


def merged_streams(trials: Sequence[TrialResult]) -> list[StreamResult]:
    return merge([trial.streams for trial in trials], 30.0)


def causes_of(
    spec: Spec,
    trials: Sequence[TrialResult],
    merged: Sequence[StreamResult],
    validity: Validity,
) -> tuple[Cause, ...]:
    return diagnose(
        Evidence(
            spec,
            tuple(trial_result.trial for trial_result in trials),
            tuple(stream.summary for stream in merged),
            tuple(trial_result.gauges for trial_result in trials),
            validity,
            cpu_count=2,
            source=SOURCE,
        )
    )


def queued(store: Store, *specs: Spec) -> list[Run]:
    return store.add([Draft(spec, target_name(spec.target)) for spec in specs])


def finished(store: Store, spec: Spec, shape: Shape, environment: Environment = ENVIRONMENT) -> Run:
    """Store a run and lead it through every state, as a job does."""
    (run,) = queued(store, spec)
    return led(store, run, shape, environment)


def decided(
    store: Store,
    slug: str,
    shapes: Sequence[Shape],
    environment: Environment = ENVIRONMENT,
    failed: Collection[int] = (),
    **changes: Any,
) -> Experiment:
    """Store the quick variant of a bundled experiment, each of its arms finished.

    `changes` are those of its design; arms in the places of `failed` failed after their trials.
    """
    document = bundled_experiment(slug).document("quick")
    submitted = read_experiment(document)
    arms = []
    for arm in submitted.arms:
        titled = {
            "title": f"{submitted.question} {arm.name}",
            "trials": submitted.blocks,
            "tags": [slug],
        }
        spec = read_spec({**arm.spec, **titled}, Limits())
        arms.append((arm.name, Draft(spec, "uvicorn, 1 worker, uvloop")))
    design = replace(submitted.design, **changes)
    made = store.add_experiment(submitted.question, design, arms, 100)
    for place, (stored, shape) in enumerate(zip(made.arms, shapes, strict=True)):
        run = store.run(stored.run_id or "")
        if place in failed:
            _failed(store, run, shape)
        else:
            led(store, run, shape, environment)
    return made


def _failed(store: Store, run: Run, shape: Shape) -> None:
    """Let a queued run fail with all of its trials, but not what they are worth."""
    _to_its_last_second(store, run, ENVIRONMENT)
    for block in range(run.spec.trials):
        store.save_trial(run.id, trial_of(run.spec, shape, block))
    store.move(run.id, State.FINALIZING, State.FAILED, reason="the target ended")


def led(
    store: Store,
    run: Run,
    shape: Shape,
    environment: Environment = ENVIRONMENT,
    first: Shape | None = None,
) -> Run:
    """Lead a queued run through every state, once for all of its trials.

    `first` is the shape of one more trial before them, as of a block that is set aside.
    """
    outcome = outcome_of(run.spec, [*([first] if first else []), *[shape] * run.spec.trials])
    _to_its_last_second(store, run, environment)
    for trial in outcome.trials:
        store.save_trial(run.id, trial)
    return store.finish(run.id, outcome.merged, outcome.validity, outcome.causes)


def _to_its_last_second(store: Store, run: Run, environment: Environment) -> None:
    ways = (State.QUEUED, State.STARTING, State.WARMING, State.RUNNING, State.FINALIZING)
    for before, after in pairwise(ways):
        facts: dict[str, Any] = (
            {"command": COMMAND, "environment": environment} if after is State.WARMING else {}
        )
        store.move(run.id, before, after, **facts)


def ended(store: Store, spec: Spec, state: State, reason: str, log: tuple[str, ...] = ()) -> Run:
    """A run that failed, was cancelled or interrupted while it started."""
    (run,) = queued(store, spec)
    store.move(run.id, State.QUEUED, State.STARTING)
    return store.move(run.id, State.STARTING, state, reason=reason, log=log)


def cut_short(store: Store, spec: Spec, shape: Shape, reason: str = "cancelled in trial 2") -> Run:
    """A run cancelled after its first trial was kept, while the second was measured."""
    (run,) = queued(store, spec)
    _to_its_last_second(store, run, ENVIRONMENT)
    store.save_trial(run.id, trial_of(spec, shape))
    store.move(run.id, State.FINALIZING, State.STARTING)
    return store.move(run.id, State.STARTING, State.CANCELLED, reason=reason)


def two_streams() -> Spec:
    """Small requests and a few large ones beside them, for 20 seconds."""
    large = {"generated": {"shape": "name-data", "size_bytes": 1_000}}
    stop = {"duration_s": 20}
    streams = [
        {
            "name": "small",
            "requests": [{"path": "/"}],
            "load": {"model": "closed", "concurrency": 10},
            "stop": stop,
        },
        {
            "name": "large",
            "requests": [{"method": "POST", "path": "/payloads", "body": large}],
            "load": {"model": "closed", "concurrency": 1},
            "stop": stop,
        },
    ]
    document = {"workload": {"streams": streams}, "title": "large bodies", "tags": ["bodies"]}
    return read_spec({**document, "trials": 5}, Limits())
