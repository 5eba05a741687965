"""The states of a run and the changes between them that are allowed."""

from enum import StrEnum


class State(StrEnum):
    """queued → starting → warming → running → finalizing → one of the terminal four."""

    QUEUED = "queued"
    STARTING = "starting"
    WARMING = "warming"
    RUNNING = "running"
    FINALIZING = "finalizing"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL

    @property
    def active(self) -> bool:
        """The queue is executing this run now."""
        return self in ACTIVE


TERMINAL = frozenset({State.FINISHED, State.FAILED, State.CANCELLED, State.INTERRUPTED})
ACTIVE = frozenset({State.STARTING, State.WARMING, State.RUNNING, State.FINALIZING})

_ABANDON = frozenset({State.FAILED, State.CANCELLED, State.INTERRUPTED})

ALLOWED: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.STARTING, State.CANCELLED, State.INTERRUPTED}),
    State.STARTING: frozenset({State.WARMING, State.RUNNING}) | _ABANDON,
    State.WARMING: frozenset({State.RUNNING}) | _ABANDON,
    State.RUNNING: frozenset({State.STARTING, State.FINALIZING}) | _ABANDON,
    State.FINALIZING: frozenset({State.STARTING, State.FINISHED}) | _ABANDON,
}


def allowed(before: State, after: State) -> bool:
    """Whether a run may go from `before` to `after`; nothing leaves a terminal state."""
    return after in ALLOWED.get(before, frozenset())
