"""What the stacks of an event loop tell: where it stood, and whether it had work all the time."""

import keyword
import math
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO

from control_plane.analysis.causes.evidence import (
    Diagnosis,
    Evidence,
    Measurements,
    WorkerTrial,
    mean_of,
    number_in,
    share_in,
)
from control_plane.domain.limits import BUSY_SHARE
from control_plane.domain.observations import (
    Frame,
    Gauges,
    Stall,
    frames,
    loop_waited,
    telling_frame,
)
from control_plane.domain.units import number_of, seconds

_DEFINES = {"def", "class"}
_SKIPPED = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT}


def calls_in(line: str) -> list[str] | None:
    """Return the calls of a line in order: `json.dumps`, or empty text for what has no name.

    Strings do not count. None for what cannot be read, such as the middle of a string.
    """
    tokens = list(_tokens(line.strip() + "\n"))
    if any(token.type == tokenize.ERRORTOKEN for token in tokens):
        return None
    return list(_calls([token.string for token in tokens if token.type not in _SKIPPED]))


def _tokens(line: str) -> Iterator[tokenize.TokenInfo]:
    """Return the tokens up to a bracket or string that goes on in the next line."""
    try:
        yield from tokenize.generate_tokens(StringIO(line).readline)
    except (tokenize.TokenError, IndentationError):
        return


def _calls(words: list[str]) -> Iterator[str]:
    for at, word in enumerate(words):
        if word != "(" or not at:
            continue
        before = words[at - 1]
        if before in {")", "]"}:
            yield ""
        elif _is_name(before) and not (at > 1 and words[at - 2] in _DEFINES):
            yield _dotted(words[:at])


def _dotted(words: list[str]) -> str:
    """Return `a.b` at the end of the words; of `f().b` only `b`."""
    name = words[-1]
    at = len(words) - 2
    while at > 0 and words[at] == "." and _is_name(words[at - 1]):
        name = f"{words[at - 1]}.{name}"
        at -= 2
    return name


def _is_name(word: str) -> bool:
    return word.isidentifier() and not keyword.iskeyword(word)


@dataclass(frozen=True)
class StallLocation:
    """The place in which `stacks_there` of all `stacks` end; None when they have none in common.

    `application`: it is in the application's own code.
    """

    place: str | None
    stacks_there: int
    stacks: int
    application: bool = False


def stall_location(stalls: Sequence[Stall], source: Mapping[str, str]) -> StallLocation:
    """Return the line in which at least half of the stacks end, else the function.

    Computing stands in another line each time, so that only its function is the same.
    """
    lines: Counter[Frame] = Counter()
    functions: Counter[str] = Counter()
    inner: dict[Frame, set[str]] = defaultdict(set)
    for stall in stalls:
        if (frame := telling_frame(stall.stack)) is not None:
            lines[frame] += stall.there if stall.samples else 1
            functions[frame.around] += stall.alike if stall.samples else 1
            inner[frame].add(_called_by(frame, stall.stack))
    sampled = sum(stall.samples or 1 for stall in stalls)
    if not lines:
        return StallLocation(None, 0, 0)
    (line, count), (function, around) = lines.most_common(1)[0], functions.most_common(1)[0]
    own = any(frame.application for frame in lines if frame.around == function)
    if 2 * count >= sampled:
        place = _called(line, source.get(line.key), inner[line])
        there = count if place != function else around
        return StallLocation(place, there, sampled, line.application)
    if 2 * around >= sampled:
        return StallLocation(function, around, sampled, own)
    return StallLocation(None, 0, sampled)


def _called_by(frame: Frame, stack: Sequence[str]) -> str:
    """Return the function that runs there; empty where it has no frame, as one written in C."""
    known = frames(stack)
    place = known.index(frame)
    return known[place - 1].function if place else ""


def _called(frame: Frame, source: str | None, inner: set[str]) -> str:
    """Return `movies.py, line 38: time.sleep` where it is clear what was called there.

    A line without a call is one of many that computed.
    """
    calls = None if source is None else calls_in(source)
    if calls is None:
        return frame.short
    if not calls:
        return frame.around
    running = (
        calls if len(calls) == 1 else [call for call in calls if {call.rpartition(".")[2]} == inner]
    )
    if len(running) != 1 or not running[0]:
        return frame.short
    return f"{frame.name}, line {frame.line}: {running[0]}"


TrialStall = tuple[int, Stall]


@dataclass(frozen=True)
class StackGroup:
    """The stalls of one stack. `share` is that of the time of all stalls; `place` None: no stack
    was sampled.

    `trial` (from 1) and `at_s` say when the longest began; `begins` hold them for each, in order.
    """

    place: Frame | None
    frames: tuple[Frame, ...]
    waited: bool
    count: int
    total_s: float
    longest_s: float
    trial: int
    at_s: float
    share: float
    begins: tuple[tuple[int, float], ...]


def stack_groups(gauges: Sequence[Gauges]) -> tuple[StackGroup, ...]:
    """Return the stalls of all trials and workers by their stack, the largest total first."""
    by_stack: dict[tuple[str, ...], list[TrialStall]] = defaultdict(list)
    for trial, trial_gauges in enumerate(gauges, start=1):
        for stall in trial_gauges.stalls:
            by_stack[stall.stack].append((trial, stall))
    everything_s = sum(stall.duration_s for each in gauges for stall in each.stalls)
    groups = [_group(stack, seen, everything_s) for stack, seen in by_stack.items()]
    return tuple(sorted(groups, key=lambda group: -group.total_s))


def _group(stack: tuple[str, ...], seen: list[TrialStall], everything_s: float) -> StackGroup:
    total_s = sum(stall.duration_s for _, stall in seen)
    trial, longest = max(seen, key=lambda pair: pair[1].duration_s)
    return StackGroup(
        place=telling_frame(stack),
        frames=frames(stack),
        waited=loop_waited(stack),
        count=len(seen),
        total_s=total_s,
        longest_s=longest.duration_s,
        trial=trial,
        at_s=longest.at_s,
        share=total_s / everything_s if everything_s else 0.0,
        begins=tuple(sorted((trial, stall.at_s) for trial, stall in seen)),
    )


LEAST_STACKS = 10
"""Fewer samples say little: of ten the share can be off by a quarter of the window."""

WAITS_SHARE = 0.1
"""From this share of the window on, calls that wait on the loop cost a tenth of its throughput."""

FEW_STACKS = 3
"""So many tell one place from chance."""

SHORT_STEP_S = 0.001
"""Handlers below this block nobody by themselves; many of them in a row are a busy server."""

OTHER_THREADS = 0.2
"""Where other threads compute for so much of one core, the loop may wait for the interpreter."""

_ELSEWHERE = (
    "its thread may have waited for a processor or for the interpreter, and then it takes most "
    "stacks in one place to tell"
)


_LIBRARY = "most stacks end in one place of the server or a library, which may be how it waits"


def loop_occupied(workers: Sequence[WorkerTrial], evidence: Evidence) -> Diagnosis | None:
    """Judge by samples of the loops' threads; None where there are too few.

    Found where calls that neither compute nor lack a processor took a tenth of the window beyond
    chance, or where the loops had no time left and each request computes for long.
    """
    share = occupied_share(workers)
    if share is None:
        return None
    place, step_s = _place(workers, evidence), _step_s(workers)
    delays = [worker.series.samples.delayed_share for worker in workers]
    measurements: Measurements = {
        "occupied_share": share,
        "samples": sum(worker.series.samples.stacks for worker in workers),
        "computed_share": _computed(workers),
        "delayed_share": mean_of([delay for delay in delays if delay is not None]),
        "step_s": step_s,
        "stacks": place.stacks,
        "stacks_there": place.stacks_there,
        "frame": place.place,
    }
    if share >= BUSY_SHARE and (step_s or 0.0) >= SHORT_STEP_S:
        return Diagnosis(True, measurements)  # noqa: FBT003 - the verdict
    own = one_place(place) and place.application
    if _waited(measurements, in_one_place=own) < WAITS_SHARE:
        return Diagnosis(False, measurements)  # noqa: FBT003 - the verdict
    if not own and one_place(place):
        return Diagnosis(None, {**measurements, "why": _LIBRARY})
    if not own and (threads_compute(workers) or _kept_from_running(evidence, measurements)):
        return Diagnosis(None, {**measurements, "why": _ELSEWHERE})
    return Diagnosis(True, measurements)  # noqa: FBT003 - the verdict


def _waited(measurements: Measurements, *, in_one_place: bool) -> float:
    """Return for which share of the window, at least, calls on the loop waited.

    Stacks of a process that is kept from running would not be in one place.
    """
    if measurements["computed_share"] is None:
        return 0.0
    at_least = _at_least(
        number_in(measurements, "occupied_share"), number_in(measurements, "samples")
    )
    delayed = 0.0 if in_one_place else number_in(measurements, "delayed_share")
    return at_least - number_in(measurements, "computed_share") - delayed


def one_place(place: StallLocation) -> bool:
    """Whether stacks end in one place: code that blocks does, a process kept from running not."""
    return place.place is not None and place.stacks >= FEW_STACKS


def occupied_share(workers: Sequence[WorkerTrial]) -> float | None:
    """Return the share of samples in which the loops were at work; None where there are too few."""
    samples = [worker.series.samples for worker in workers]
    stacks = sum(each.stacks for each in samples)
    return sum(each.at_work for each in samples) / stacks if stacks >= LEAST_STACKS else None


def _at_least(share: float, stacks: float) -> float:
    """Return the lower end of the share's 95 % interval (A. Agresti and B. A. Coull, The American
    Statistician, 1998).
    """
    middle = (share * stacks + 2) / (stacks + 4)
    return middle - 2 * math.sqrt(middle * (1 - middle) / (stacks + 4))


def _place(workers: Sequence[WorkerTrial], evidence: Evidence) -> StallLocation:
    seen = [
        Stall(worker.series.pid, 0.0, 0.0, stack, times, times, times)
        for worker in workers
        for stack, times in worker.series.samples.places
    ]
    return stall_location(seen, evidence.source)


def _computed(workers: Sequence[WorkerTrial]) -> float | None:
    """Return the share of the window for which the loops' threads computed.

    That of their processes where a thread was not seen.
    """
    shares = [
        worker.cpu_share if worker.series.samples.cpu_share is None
        else worker.series.samples.cpu_share
        for worker in workers
    ]  # fmt: skip
    return mean_of([share for share in shares if share is not None])


def _step_s(workers: Sequence[WorkerTrial]) -> float | None:
    """Return for how long the loops computed for each request that was answered."""
    answered = sum(number or 0 for worker in workers for number in worker.series.completed)
    spent_s = sum((worker.series.samples.cpu_share or 0.0) * worker.window_s for worker in workers)
    return spent_s / answered if answered and spent_s else None


def threads_compute(workers: Sequence[WorkerTrial]) -> bool:
    """Return whether other threads of the workers computed: they hold the interpreter then, for
    which a loop waits in the middle of anything.
    """
    others = [
        worker.cpu_share - worker.series.samples.cpu_share
        for worker in workers
        if worker.cpu_share is not None and worker.series.samples.cpu_share is not None
    ]
    return (mean_of(others) or 0.0) >= OTHER_THREADS


def _kept_from_running(evidence: Evidence, measurements: Measurements) -> bool:
    """Whether a wait may be for a processor that the kernel did not count."""
    uncounted = measurements["delayed_share"] is None
    stolen = any(reason.gate == "stolen" for reason in evidence.validity.reasons)
    return stolen or evidence.held_back or (uncounted and evidence.cpu_contended)


def occupied(measurements: Measurements) -> str:
    """Return how much of the window its steps took, without a subject."""
    return f"occupied {share_in(measurements, 'occupied_share')} of the window by many short steps"


def what_it_did(measurements: Measurements) -> str:
    """Return for how much of the window the loop's thread computed."""
    computed = f"its thread computed {share_in(measurements, 'computed_share')} of the window"
    step_s = number_in(measurements, "step_s")
    each = f", {seconds(step_s)} for each request" if step_s else ""
    return computed + each


def looks(measurements: Measurements) -> str:
    """Return how often its thread was found at work; empty where nobody looked."""
    if not number_in(measurements, "samples"):
        return ""
    number = number_of(number_in(measurements, "samples"), "look")
    return f"occupied in {share_in(measurements, 'occupied_share')} of {number} at it"
