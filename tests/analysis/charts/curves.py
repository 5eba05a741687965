"""Curves of runs and streams with chosen response times."""

from dataclasses import replace

from control_plane.analysis.charts.curve import Curve, curves_of_runs
from control_plane.analysis.run_labels import label_runs
from control_plane.domain.result import Reason, Validity
from control_plane.domain.run import RunDetail
from tests.builders.trials import detail, result, run, second, spread

INVALID = Validity("invalid", (Reason("errors", "invalid", "30 of 100 failed.", 0.3, 0.01),))


def measured(run_id: str, *times_ms: float, **chosen) -> RunDetail:
    """One trial of one second."""
    stream = result(second(0, *times_ms))
    return detail(run(run_id, title=run_id, **chosen), stream)


def curves(*medians_ms: float, count: int = 20_000, invalid: tuple[int, ...] = ()) -> list[Curve]:
    details = [
        measured(f"r{index}", *spread(median, count, seed=index))
        for index, median in enumerate(medians_ms)
    ]
    details = [
        replace(measured_run, run=replace(measured_run.run, validity=INVALID))
        if index in invalid
        else measured_run
        for index, measured_run in enumerate(details)
    ]
    return list(
        curves_of_runs(details, label_runs([measured_run.run for measured_run in details]), "items")
    )
