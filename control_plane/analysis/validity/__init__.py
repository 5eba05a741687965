"""Whether the numbers of a run may be believed: what a gate is made of, and the run it judges."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from control_plane.domain.result import Reason, Summary, Trial
from control_plane.domain.run import Run, State
from control_plane.domain.spec import Spec, Stream
from control_plane.domain.units import SPACE, count, figures, seconds, share

GateLevel = Literal["ok", "suspect", "invalid"]


def percent(limit: float) -> str:
    """Return a round share without trailing zeros: `0.1 %`."""
    return f"{100 * limit:g}{SPACE}%"


@dataclass(frozen=True)
class ValueFormat:
    """How the values and the limits of a gate are written."""

    value: Callable[[float], str]
    limit: Callable[[float], str]


SHARE = ValueFormat(share, percent)
SECONDS = ValueFormat(seconds, seconds)
COUNT = ValueFormat(count, count)
CORES = ValueFormat(
    lambda cores: f"{figures(cores, 2)}{SPACE}cores", lambda cores: f"{cores:g}{SPACE}cores"
)


@dataclass(frozen=True)
class GateLimits:
    """What a value must be: its sign, and the limit of each level that the gate has.

    Both limits are None where they depend on the run; `note` ends their text, or says them then.
    """

    sign: Literal["≤", "<", "≥", "="]
    suspect: float | None = None
    invalid: float | None = None
    note: str = ""

    def level(self, value: float) -> GateLevel:
        """Return the worst level of which the limit is broken."""
        if self.invalid is not None and not self._met(value, self.invalid):
            return "invalid"
        if self.suspect is not None and not self._met(value, self.suspect):
            return "suspect"
        return "ok"

    def limit(self, value: float) -> float | None:
        """Return the limit of the level of `value`; of one that is ok, the first that it meets."""
        if self.suspect is None or self.level(value) == "invalid":
            return self.invalid
        return self.suspect

    def text(self, written: Callable[[float], str]) -> str:
        """Return the limits as the table of gates has them: `≤ 0.1 %, invalid over 1 %`."""
        sign = "" if self.sign == "=" else f"{self.sign} "
        first = self.invalid if self.suspect is None else self.suspect
        text = f"{sign}{self.note if first is None else written(first) + self.note}"
        if self.suspect is None or self.invalid is None:
            return text
        return f"{text}, invalid {'below' if sign == '≥ ' else 'over'} {written(self.invalid)}"

    def _met(self, value: float, limit: float) -> bool:
        if self.sign == "≥":
            return value >= limit
        if self.sign == "=":
            return value == limit
        return value < limit if self.sign == "<" else value <= limit


@dataclass(frozen=True)
class Judgement:
    """What one gate says of a run: the level, its evidence as a sentence, and the numbers."""

    level: GateLevel
    text: str
    value: float
    limit: float | None


def judgement(limits: GateLimits, value: float, text: str, doubt: str) -> Judgement:
    """Return the judgement of a value: `text` alone where it is ok, else `doubt` follows it."""
    level = limits.level(value)
    full = f"{text}." if level == "ok" else f"{text}{doubt}"
    return Judgement(level, full, value, limits.limit(value))


StreamCase = tuple[Trial, Stream, Summary]


@dataclass(frozen=True)
class MeasuredRun:
    """The trials of a run and its spec: what a gate judges. At least one trial."""

    trials: tuple[Trial, ...]
    spec: Spec

    @property
    def streams(self) -> Iterator[tuple[Trial, Summary]]:
        """Return every stream of every trial."""
        return ((trial, stream) for trial in self.trials for stream in trial.streams)

    @property
    def cases(self) -> Iterator[StreamCase]:
        """Return every stream of every trial that the spec has, with its part of the spec."""
        specs = {stream.name: stream for stream in self.spec.workload.streams}
        for trial, summary in self.streams:
            if summary.name in specs:
                yield trial, specs[summary.name], summary

    def where(self, trial: Trial) -> str:
        """Return ` in trial 2`, from 1; empty where there is only one."""
        place = next(index for index, other in enumerate(self.trials, start=1) if other is trial)
        return f" in trial {place}" if len(self.trials) > 1 else ""


@dataclass(frozen=True)
class Gate:
    """One gate: `headline` says in few words what it found; `judge` returns None for a run that
    it does not judge. `limits_of_spec` only where the spec sets a limit.
    """

    id: str
    label: str
    format: ValueFormat
    limits: GateLimits
    headline: str
    judge: Callable[[MeasuredRun], Judgement | None]
    limits_of_spec: Callable[[Spec], GateLimits] | None = None

    def reason(self, run: MeasuredRun) -> Reason | None:
        """Return the judgement as it is stored with a run."""
        found = self.judge(run)
        return Reason(self.id, found.level, found.text, found.value, found.limit) if found else None

    def limit_text(self, spec: Spec) -> str:
        """Return the limits of a run of this spec, as the table of gates has them."""
        limits = self.limits_of_spec(spec) if self.limits_of_spec else self.limits
        return limits.text(self.format.limit)


@dataclass(frozen=True)
class TheirValidity:
    """What the gates there found of an arm, or of a run; how it ended where it was not judged."""

    name: str
    outcome: str
    reasons: tuple[str, ...]

    @property
    def text(self) -> str:
        """`“A” was suspect there: The client was busy.`"""
        reasons = f": {' '.join(self.reasons)}" if self.reasons else "."
        return f"“{self.name}” was {self.outcome} there{reasons}"


def their_validity(name: str, run: Run) -> TheirValidity:
    """Return what the gates found of a run that came from elsewhere."""
    if run.validity is None or run.validity.outcome is None:
        ended = "not judged" if run.state is State.FINISHED else run.state.value
        return TheirValidity(name, ended, (run.reason,) if run.reason else ())
    reasons = tuple(reason.text for reason in run.validity.reasons)
    return TheirValidity(name, run.validity.outcome, reasons)
