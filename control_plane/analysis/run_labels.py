"""Letter, mark, colour and short name of each run of a page; they follow the order of the URL."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from control_plane.domain.run import Run

LETTERS = "ABCDEFGHIJKL"
MARKS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "hexagon")
LONGEST = 40


@dataclass(frozen=True)
class RunLabel:
    """`mark` is the name of the shape; from the seventh run on it is hollow, its line dashed."""

    index: int
    id: str
    letter: str
    name: str
    mark: str
    hollow: bool

    @property
    def colour(self) -> str:
        """The token that the figure script resolves: `$run-1` to `$run-6`."""
        return f"$run-{self.index % len(MARKS) + 1}"

    @property
    def text_colour(self) -> str:
        return f"{self.colour}-text"

    @property
    def symbol(self) -> str:
        """The mark as Plotly calls it."""
        return f"{self.mark}-open" if self.hollow else self.mark

    @property
    def text(self) -> str:
        return f"{self.letter} {self.name}"


def label_runs(runs: Sequence[Run]) -> tuple[RunLabel, ...]:
    """At most twelve runs, in the order of the URL."""
    return tuple(
        RunLabel(index, run.id, LETTERS[index], name, MARKS[index % 6], hollow=index >= 6)
        for index, (run, name) in enumerate(zip(runs, short_names(runs), strict=True))
    )


def short_names(runs: Sequence[Run]) -> list[str]:
    """The first of these that tells the runs apart, else the title.

    The strategy; the one part (between commas) that the titles do not share; of strategy, streams,
    workers and load the one or those that differ; all parts that the titles do not share.
    """
    ways: tuple[Callable[[Sequence[Run]], list[str]], ...] = (
        _strategies,
        _one_part,
        _leading,
        _unshared,
    )
    for way in ways if len(runs) > 1 else ():
        names = way(runs)
        if all(names) and len(set(names)) == len(names):
            return [_cut(name) for name in names]
    return [_cut(run.title or run.spec.client.strategy) for run in runs]


def _strategies(runs: Sequence[Run]) -> list[str]:
    return [run.spec.client.strategy for run in runs]


def _one_part(runs: Sequence[Run]) -> list[str]:
    """Empty names where it is more than one part."""
    return ["" if ", " in name else name for name in _unshared(runs)]


def _leading(runs: Sequence[Run]) -> list[str]:
    """Empty names where none of these differs, or some run does not say it."""
    columns = [[facts[place] for facts in map(_facts, runs)] for place in range(4)]
    differing = [column for column in columns if all(column) and len(set(column)) > 1]
    alone = next((column for column in differing if len(set(column)) == len(runs)), None)
    return alone or [", ".join(column[at] for column in differing) for at in range(len(runs))]


def _facts(run: Run) -> tuple[str, str, str, str]:
    streams, target = run.spec.workload.streams, run.spec.target
    workers = target.workers
    return (
        run.spec.client.strategy,
        ", ".join(one.name for one in streams),
        f"{workers} worker{'s' if workers > 1 else ''}" if workers else "",
        ", ".join(dict.fromkeys(one.load.label for one in streams)),
    )


def _unshared(runs: Sequence[Run]) -> list[str]:
    titles = [run.title.split(", ") for run in runs]
    shared = set(titles[0]).intersection(*titles[1:])
    return [", ".join(part for part in title if part not in shared) for title in titles]


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1].rstrip() + "…"
