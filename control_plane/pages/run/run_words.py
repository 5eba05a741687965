"""A run in a few words: the facts below its sentence."""

from control_plane.analysis.prose.sentence import listed
from control_plane.domain.load_words import crowd_words
from control_plane.domain.run import Run
from control_plane.domain.states import State
from control_plane.domain.units import count, seconds


def took(run: Run) -> str | None:
    """None also for an interrupted run: nobody saw when it ended."""
    if run.started_at is None or run.finished_at is None or run.state is State.INTERRUPTED:
        return None
    return seconds((run.finished_at - run.started_at).total_seconds())


def judged(run: Run) -> str | None:
    """`valid, 5 of 5 gates`; `suspect: 1 of 4 gates`."""
    if run.validity is None or run.validity.outcome is None:
        return None
    quiet = sum(one.level == "ok" for one in run.validity.judged)
    gates = f"of {len(run.validity.judged)} gates"
    if run.validity.outcome == "valid":
        return f"valid, {quiet} {gates}"
    return f"{run.validity.outcome}: {len(run.validity.judged) - quiet} {gates}"


def streams_words(run: Run) -> str:
    merged = "All trials merged, counts added. " if len(run.trials) > 1 else ""
    return f"{merged}Response times; grey: 10 to 99 samples lie beyond."


def facts(run: Run) -> tuple[str, ...]:
    """How it was measured, for the line below the sentence."""
    loads = [crowd_words(stream.load) for stream in run.spec.workload.streams]
    facts = [run.configuration, f"client {run.spec.client.strategy}", *dict.fromkeys(loads)]
    if not run.streams:
        return tuple(facts)
    return (_measured(run), _counted(run), *facts)


def _measured(run: Run) -> str:
    windows = sum(max(one.duration_s for one in trial.streams) for trial in run.trials)
    mean = seconds(windows / len(run.trials)) if run.trials else ""
    lasted = [one.duration_s for trial in run.trials for one in trial.streams]
    most = "up to " if len(run.streams) > 1 and max(lasted) > 1.05 * min(lasted) else ""
    many = f"{len(run.trials)} trials" if len(run.trials) > 1 else "one trial"
    return f"{many} of {most}{mean}"


def _counted(run: Run) -> str:
    """`2,033 requests of small and 225 of large, 0 errors`."""
    failed = sum(sum(one.errors.values()) for one in run.streams)
    errors = "1 error" if failed == 1 else f"{count(failed)} errors"
    return f"{_requests(run)}, {errors}"


def _requests(run: Run) -> str:
    first, *others = run.streams
    if not others:
        return f"{count(first.completed)} requests"
    rest = (f"{count(one.completed)} of {one.name}" for one in others)
    return listed([f"{count(first.completed)} requests of {first.name}", *rest])
