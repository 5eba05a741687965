"""The only stream of each run under one name, so that runs can be set against each other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from control_plane.domain.result import Summary
from control_plane.domain.run import Live, Run, RunDetail


def single_stream_names(runs: Sequence[Run]) -> dict[str, str]:
    """What the only stream of each run is called, by run id, where names differ.

    Empty where a run has several streams, or where all have one name. A run without a result
    decides nothing: it is left out where it has several.
    """
    names = {run.id: run.spec.workload.streams[0].name for run in runs if _alone(run)}
    aligned = all(run.id in names for run in runs_with_result(runs))
    return names if aligned and len(set(names.values())) > 1 else {}


def runs_with_result(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Those that have one or may yet get it; all where that is none."""
    return tuple(run for run in runs if not run.resultless) or tuple(runs)


def rename_stream(run: Run, name: str) -> Run:
    """A run of one stream, which is called `name`."""
    (stream,) = run.spec.workload.streams
    workload = replace(run.spec.workload, streams=(replace(stream, name=name),))
    trials = (replace(one, streams=_named(one.streams, name)) for one in run.trials)
    return replace(
        run,
        spec=replace(run.spec, workload=workload),
        streams=_named(run.streams, name),
        trials=tuple(trials),
    )


def rename_stream_of_detail(detail: RunDetail, run: Run) -> RunDetail:
    """What is drawn of a run of one stream, under the name that `run` gives it."""
    name = run.spec.workload.streams[0].name
    return replace(
        detail,
        run=run,
        streams=_moved(detail.streams, name),
        timelines=_moved(detail.timelines, name),
        slices=_moved(detail.slices, name),
    )


def rename_stream_of_live(live: Live, name: str) -> Live:
    return replace(live, streams=tuple(replace(one, name=name) for one in live.streams))


def _alone(run: Run) -> bool:
    return len(run.spec.workload.streams) == 1


def _moved(by_stream: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What there is of the only stream."""
    return dict(zip((name,), by_stream.values(), strict=False))


def _named(streams: Sequence[Summary], name: str) -> tuple[Summary, ...]:
    return tuple(replace(one, name=name) for one in streams)
