"""How a run ends that gives no result."""

from typing import Any, NamedTuple, Self

from control_plane.domain.errors import DatabaseFull, StoreError, TrialFailed
from control_plane.domain.result import Cause
from control_plane.domain.run import State


class Termination(NamedTuple):
    """Why, in which trial unless `why` is the whole reason, and what to do.

    `log` holds the last lines of the process that failed, oldest first.
    """

    state: State
    why: str
    remedy: str = ""
    whole: bool = False
    log: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()

    @classmethod
    def failed(cls, fault: TrialFailed, causes: tuple[Cause, ...]) -> Self:
        return cls(State.FAILED, str(fault), whole=True, log=fault.log, causes=causes)

    @classmethod
    def broken(cls, fault: BaseException) -> Self:
        """By a mistake of ours."""
        return cls(State.FAILED, internal(fault), whole=True)

    def facts(self, trial: int, trials: int) -> dict[str, Any]:
        """What the store keeps of it."""
        reason = self._reason(trial, trials)
        return {"reason": reason, "log": self.log, "causes": self.causes}

    def _reason(self, trial: int, trials: int) -> str:
        if self.whole:
            return self.why
        told = f"{self.why} in trial {trial} of {trials}"
        return f"{told}: {self.remedy}" if self.remedy else told


DISK_FULL = Termination(
    State.FAILED, "disk full", "make space where the database lies, then run it again"
)
UNUSABLE = Termination(State.FAILED, "the database cannot be used")


def by_database(fault: StoreError) -> Termination:
    """Of a run whose results it did not take."""
    return DISK_FULL if isinstance(fault, DatabaseFull) else UNUSABLE


def first(fault: BaseException) -> BaseException:
    """The first error of a group, at any depth; what is no group is itself."""
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return fault


def obstacle(fault: BaseException) -> str:
    """Why an end cannot be written, for pages."""
    return fault.plain if isinstance(fault, StoreError) else f"{internal(fault)}."


def internal(fault: BaseException) -> str:
    return f"internal error: {type(fault).__name__}"
