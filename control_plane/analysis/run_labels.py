"""What runs are called side by side: letter, mark, colour and short name, names of configurations.

Only streams that have another name in each run get a common one.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from control_plane.domain.experiment import Experiment
from control_plane.domain.result import Summary
from control_plane.domain.run import Live, Run, RunDetail
from control_plane.domain.spec import AnyTarget
from control_plane.domain.units import number_of

LETTERS = "ABCDEFGHIJKL"
MARKERS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "hexagon")
LONGEST = 40
"""Characters of a name; a longer one is cut."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class RunLabel:
    """What a run is called and drawn with on one page.

    `mark` is the name of the shape; from the seventh run on it is hollow, its line dashed."""

    index: int
    id: str
    letter: str
    name: str
    mark: str
    hollow: bool

    @property
    def colour(self) -> str:
        """Return the token that the figure script resolves: `$run-1` to `$run-6`."""
        return f"$run-{self.index % len(MARKERS) + 1}"

    @property
    def text_colour(self) -> str:
        return f"{self.colour}-text"

    @property
    def symbol(self) -> str:
        """Return the mark as Plotly calls it."""
        return f"{self.mark}-open" if self.hollow else self.mark

    @property
    def text(self) -> str:
        return f"{self.letter} {self.name}"


def label_runs(runs: Sequence[Run], places: Sequence[int] = ()) -> tuple[RunLabel, ...]:
    """Return the label of each run, of at most twelve in the order of the URL.

    `places` from 0 give letter, mark and colour; without them they follow that order.
    """
    return tuple(
        RunLabel(place, run.id, LETTERS[place], name, MARKERS[place % 6], hollow=place >= 6)
        for place, run, name in zip(
            places or range(len(runs)), runs, short_names(runs), strict=True
        )
    )


def arm_labels(experiment: Experiment) -> tuple[RunLabel, ...]:
    """Return letter, mark, colour and name of each arm, in order."""
    return tuple(_label(place, arm.name, arm.run_id) for place, arm in enumerate(experiment.arms))


def _label(place: int, name: str, run_id: str | None) -> RunLabel:
    letter = LETTERS[place] if place < len(LETTERS) else str(place + 1)
    return RunLabel(place, run_id or "", letter, name, MARKERS[place % 6], hollow=place >= 6)


def called_by_pins(labels: Sequence[RunLabel], pins: Mapping[str, str]) -> tuple[RunLabel, ...]:
    """Return the labels of runs, pinned ones called by their pins: `pins` are names by run id.

    A name that several would have is given to none.
    """
    names = [pins.get(label.id, label.name) for label in labels]
    return tuple(
        replace(label, name=name) if names.count(name) == 1 else label
        for label, name in zip(labels, names, strict=True)
    )


def short_names(runs: Sequence[Run]) -> list[str]:
    """Return what each run is called: the first of these that tells the runs apart.

    The arm, where the titles ask one question; the strategy; the one part (between commas and
    colons) that the titles do not share; of application, strategy, streams, workers, load and
    requests the one or those that differ; all parts that the titles do not share; the titles; where
    each was measured; the configurations. Else titles that several runs have are followed by the id
    of the run. Runs of several applications are told apart by these as well.
    """
    arms = _arms(runs)
    if arms:
        return _fitted(arms)
    naming: tuple[Callable[[Sequence[Run]], list[str]], ...] = (
        lambda runs: [run.spec.client.strategy for run in runs],
        lambda runs: ["" if ", " in name else name for name in _unshared_parts(runs)],
        _differing_facts,
        _unshared_parts,
        _titles,
        _origins,
        lambda runs: [run.configuration for run in runs],
    )
    for names_of in naming if len(runs) > 1 else ():
        names = names_of(runs)
        if all(names) and len(set(names)) == len(names):
            return _fitted(_with_applications(names, runs))
    return _told_apart([_cut(title) for title in _titles(runs)], runs)


def _arms(runs: Sequence[Run]) -> list[str]:
    """Return what stands behind the question that the title of each run begins with.

    Empty where they ask none or several, or that tells them not apart: runs of no one experiment.
    """
    parted = [run.title.partition("?: ") for run in runs]
    arms = [arm for _, _, arm in parted]
    alike = len({question for question, _, _ in parted}) == 1 and all(arms)
    return arms if alike and len(set(arms)) == len(arms) > 1 else []


def _applications(runs: Sequence[Run]) -> list[str]:
    return [run.spec.target.application or run.spec.target.url for run in runs]


def _with_applications(names: Sequence[str], runs: Sequence[Run]) -> list[str]:
    """Return the names, each with the application that it does not say, where there are several."""
    applications = _applications(runs)
    if len(set(applications)) == 1:
        return [*names]
    return [
        name if _says(name, application) else f"{application}, {name}"
        for application, name in zip(applications, names, strict=True)
    ]


def _says(name: str, application: str) -> bool:
    """Whether the application is a word of the name: `a` is none of `async`."""
    word = rf"(?<![\w-]){re.escape(application)}(?![\w-])"
    return re.search(word, name, re.IGNORECASE) is not None


def _told_apart(names: Sequence[str], runs: Sequence[Run]) -> list[str]:
    """Return the names; those that several runs have with the id of the run."""
    shared = {name for name in names if names.count(name) > 1}
    return [
        f"{_cut(name, LONGEST - len(run.id) - 5)}, run {run.id}" if name in shared else name
        for name, run in zip(names, runs, strict=True)
    ]


def _titles(runs: Sequence[Run]) -> list[str]:
    return [run.title or run.spec.client.strategy for run in runs]


def _origins(runs: Sequence[Run]) -> list[str]:
    return [f"run of {run.origin.machine}" if run.origin else "own run" for run in runs]


def _unshared_parts(runs: Sequence[Run]) -> list[str]:
    titles = [re.split(", |: ", run.title) for run in runs]
    return [", ".join(parts) for parts in unshared(titles)]


def _differing_facts(runs: Sequence[Run]) -> list[str]:
    """Return the fact that tells all runs apart, else all that differ.

    Empty names where none of these differs, or some run does not say it. Requests are not said
    where the names of the streams tell the same runs apart.
    """
    streams = [", ".join(stream.name for stream in run.spec.workload.streams) for run in runs]
    requests = _request_names(runs)
    columns = (
        _applications(runs),
        [run.spec.client.strategy for run in runs],
        streams,
        [_workers(run.spec.target) for run in runs],
        [_loads(run) for run in runs],
        requests if _split(requests) != _split(streams) else [""],
    )
    differing = [column for column in columns if all(column) and len(set(column)) > 1]
    alone = next((column for column in differing if len(set(column)) == len(runs)), None)
    return alone or [", ".join(column[at] for column in differing) for at in range(len(runs))]


def _split(column: Sequence[str]) -> list[int]:
    """Return for each value where it stands first: equal for columns that part the runs alike."""
    return [column.index(value) for value in column]


def _request_names(runs: Sequence[Run]) -> list[str]:
    """Return the paths of the request classes that not all runs share, in their order.

    With the method where those differ in it; all classes where a run has none of its own.
    """
    classes = [
        [
            (request.method, request.path)
            for stream in run.spec.workload.streams
            for request in stream.requests
        ]
        for run in runs
    ]
    own = unshared(classes)
    shown = own if all(own) else classes
    several = len({method for requests in shown for method, _ in requests}) > 1
    return [
        ", ".join(
            dict.fromkeys(f"{method} {path}" if several else path for method, path in requests)
        )
        for requests in shown
    ]


def unshared(lists: Sequence[Sequence[Item]]) -> list[list[Item]]:
    """Return each list without the items that stand in all of them."""
    shared = set(lists[0]).intersection(*lists[1:])
    return [[item for item in items if item not in shared] for items in lists]


def _workers(target: AnyTarget) -> str:
    workers = target.workers
    return number_of(workers, "worker") if workers else ""


def _loads(run: Run) -> str:
    return ", ".join(dict.fromkeys(stream.load.label for stream in run.spec.workload.streams))


def _fitted(names: Sequence[str]) -> list[str]:
    """Return different names that are still different when the longest have been cut.

    What all of them begin with goes first, then what all end with, in whole parts of a path or
    title; then the end or the middle of each name, or all before the first letter that differs.
    Where none of these will do, they are numbered.
    """
    shown = list(names)
    if any(len(name) > LONGEST for name in shown) and (start := _shared_start(shown)):
        shown = [f"…{name[start:]}" for name in shown]
    if any(len(name) > LONGEST for name in shown):
        end = _shared_start([name[::-1] for name in shown])
        shown = [f"{name[:-end].rstrip()}…" for name in shown] if end else shown
    start = _first_difference(names)
    for cut in (
        [_cut(name) for name in shown],
        [_cut_middle(name) for name in shown],
        [_cut(f"…{name[start:]}") for name in names],
    ):
        if len(set(cut)) == len(cut):
            return cut
    return [f"{_cut(name, LONGEST - 5)} ({at})" for at, name in enumerate(names, start=1)]


def _shared_start(names: Sequence[str]) -> int:
    """Return the length of what all names begin with, up to the last `/` or space in it."""
    shared = names[0][: _first_difference(names)]
    return max(shared.rfind("/"), shared.rfind(" "), 0)


def _first_difference(names: Sequence[str]) -> int:
    """Return the index of the first letter that not all names have; at most a name's length."""
    columns = enumerate(zip(*names, strict=False))
    shortest = min(map(len, names))
    return next((at for at, letters in columns if len(set(letters)) > 1), shortest)


def _cut(name: str, longest: int = LONGEST) -> str:
    return name if len(name) <= longest else name[: longest - 1].rstrip() + "…"


def _cut_middle(name: str) -> str:
    half = LONGEST // 2
    return name if len(name) <= LONGEST else f"{name[: half - 1]}…{name[-half:]}"


Named = tuple[str, str, Any]
"""What a run is called here, the name of its configuration, and the target with all its fields."""


def configuration_names(runs: Sequence[Named]) -> tuple[str, ...]:
    """Return the name of each configuration, in order.

    `my fast (same settings as A)` where an earlier run has another name for them, `my fast (other
    settings than A)` where its name stands for something else.
    """
    return tuple(_configuration_name(run, runs[:index]) for index, run in enumerate(runs))


def _configuration_name(run: Named, earlier: Sequence[Named]) -> str:
    _, name, target = run
    for other, other_name, other_target in earlier:
        if other_name == name and other_target != target:
            return f"{name} (other settings than {other})"
        if other_name != name and other_target == target:
            return f"{name} (same settings as {other})"
    return name


def single_stream_names(runs: Sequence[Run]) -> dict[str, str]:
    """Return the name of the only stream of each run, by run id, where the names differ.

    Empty where a run has several streams, or where all have one name. A run without a result
    decides nothing: it is left out where it has several.
    """
    streams = {run.id: run.spec.workload.streams for run in runs}
    names = {run_id: several[0].name for run_id, several in streams.items() if len(several) == 1}
    alone = all(run.id in names for run in runs_with_result(runs))
    return names if alone and len(set(names.values())) > 1 else {}


def runs_with_result(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Return the runs that have a result or may yet get one; all where there is none of them."""
    return tuple(run for run in runs if not run.resultless) or tuple(runs)


def rename_stream(run: Run, name: str) -> Run:
    """Return a run of one stream with that stream called `name`."""
    (stream,) = run.spec.workload.streams
    workload = replace(run.spec.workload, streams=(replace(stream, name=name),))
    trials = (replace(trial, streams=_renamed(trial.streams, name)) for trial in run.trials)
    return replace(
        run,
        spec=replace(run.spec, workload=workload),
        streams=_renamed(run.streams, name),
        trials=tuple(trials),
    )


def rename_stream_of_detail(detail: RunDetail, run: Run) -> RunDetail:
    """Return the detail of a run of one stream, under the name that `run` gives the stream."""
    name = run.spec.workload.streams[0].name

    def renamed(by_stream: Mapping[str, Any]) -> dict[str, Any]:
        return dict(zip((name,), by_stream.values(), strict=False))

    return replace(
        detail,
        run=run,
        streams=renamed(detail.streams),
        timelines=renamed(detail.timelines),
        slices=renamed(detail.slices),
    )


def rename_stream_of_live(live: Live, name: str) -> Live:
    """Return the state of a run of one stream with that stream called `name`."""
    return replace(live, streams=tuple(replace(stream, name=name) for stream in live.streams))


def _renamed(streams: Sequence[Summary], name: str) -> tuple[Summary, ...]:
    return tuple(replace(stream, name=name) for stream in streams)
