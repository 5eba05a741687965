"""How documents are checked: types of what they describe, and the tests that one value can fail,
each with the message that names value, limit and remedy.

What pydantic has to know of a type is made where a document is read: load workers take the same
types, and start without pydantic.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from control_plane.domain.errors import FieldError
from control_plane.domain.target_addresses import AllowedTarget

if TYPE_CHECKING:
    from pydantic import ConfigDict, GetCoreSchemaHandler
    from pydantic_core import CoreSchema

ONE_OF = "one_of"
STRICT: "ConfigDict" = {"strict": True, "extra": "forbid", "allow_inf_nan": False}


class Checked:
    """What is checked by its types where a document is read, and trusted where code makes it."""

    __pydantic_config__: ClassVar["ConfigDict"] = STRICT


@dataclass(frozen=True)
class ReadAs:
    """Marks a type, in `Annotated`: where documents are read, `kind` returns what stands for it."""

    kind: Callable[[], Any]

    def __get_pydantic_core_schema__(
        self, source: object, handler: "GetCoreSchemaHandler"
    ) -> "CoreSchema":
        del source
        return handler(self.kind())


def kind_told_by(key: str, union: Any) -> ReadAs:
    """Return the mark of `union`, whose members have different values of one key."""

    def kind() -> Any:
        from pydantic import Discriminator

        return Annotated[union, Discriminator(key)]

    return ReadAs(kind)


def kind_told_by_shape(
    kinds: Mapping[str, Any],
    name_of: Callable[[Any], str | None],
    error: str | None = None,
    message: str | None = None,
) -> ReadAs:
    """Return the mark of a union: `name_of` tells from a value which of `kinds` it is.

    `error` and `message` are type and text of the error of a value that is none of them.
    """

    def kind() -> Any:
        from pydantic import Discriminator, Tag

        tagged = (Annotated[member, Tag(name)] for name, member in kinds.items())
        told = Discriminator(name_of, custom_error_type=error, custom_error_message=message)
        return Annotated[reduce(or_, tagged), told]

    return ReadAs(kind)


def kind_told_by_keys(kinds: Mapping[str, Any]) -> ReadAs:
    """Return the mark of a union of objects, each of which has one of the keys and no other."""

    def name_of(value: Any) -> str | None:
        has = value.__contains__ if isinstance(value, dict) else partial(hasattr, value)
        present = [key for key in kinds if has(key)]
        return present[0] if len(present) == 1 else None

    return kind_told_by_shape(kinds, name_of, ONE_OF, f"Give exactly one of {', '.join(kinds)}.")


MAX_COMPARED_RUNS = 12
"""How many runs stand side by side at most; so many letters, marks and colours tell them apart."""
MAX_BUNDLE_BYTES = 1_000_000_000
"""How large a file of results from elsewhere may be."""
MAX_TOOL_STREAMS = 200
MAX_PERCENTILES = 1_000
"""How many names of requests a file of another tool may tell of, and percentiles of each."""


@dataclass(frozen=True)
class Limits:
    """The upper bounds of what is handed in, which settings raise. Seconds and bytes.

    `allowed_targets` may be asked beside those of this machine. `max_experiment_s`: of all trials
    of an experiment together, as they are expected.
    """

    max_streams: int = 8
    max_requests: int = 10_000_000
    max_concurrency: int = 2_000
    max_threads: int = 500
    max_duration_s: float = 3_600.0
    max_rate_per_s: float = 200_000.0
    max_timeout_s: float = 600.0
    max_warmup_s: float = 600.0
    max_trials: int = 100
    max_workers: int = 64
    max_processes: int = 64
    max_body_bytes: int = 64_000_000
    max_queue: int = 1_000
    max_experiment_s: float = 86_400.0
    allowed_targets: tuple[AllowedTarget, ...] = ()

    @staticmethod
    def setting(name: str) -> str:
        """Return the environment variable that raises the limit of that name."""
        return f"LOOPLAB_{name.upper()}"


@dataclass(frozen=True)
class TextLengths:
    """How many characters the texts may have that people give to what they measure."""

    title: int = 200
    tag: int = 40
    note: int = 10_000
    step_note: int = 1_000
    pin_name: int = 60
    arm_name: int = 60
    configuration_name: int = 80


TEXT_LENGTHS = TextLengths()

MAX_ERROR_SHARE = 0.01
"""A run is invalid where more of a stream's requests failed, unless its spec says another limit."""

BLOCKED_LOOP_S = 0.1
"""An event loop that is later stood still. asyncio's own debug mode calls a step slow from here on
(`loop.slow_callback_duration`).
"""

THROTTLED_SHARE = 0.05
"""From this share of its periods on, a quota shows in the times: the p95 is that of a request that
stood still."""

OWN_CPU = 0.05
"""Cores that the control plane may use while it measures; from there on it is one of the others."""

OWN_START_S = 0.05
"""Processor seconds of the control plane at the ends of a window, beside `OWN_CPU`: it opens the
gauges, reads all processes of the machine and stores the state."""

FEW_CORES = 2
"""On a machine with more, what Looplab shows takes no core from target and client."""

BUSY_SHARE = 0.85
"""From this share of what it can get on, a processor is the limit. The wait for a server grows as
1 / (1 - load): at 85 % a request takes over six times its own time (M/M/1; L. Kleinrock, Queueing
Systems, 1975).
"""


Wrong = Iterator[FieldError]


def bounded(field: str, value: float, low: float, high: float, limit: str | None = None) -> Wrong:
    """Find a value outside of `low` to `high`; `limit` names the field of Limits that bounds it."""
    if value < low:
        yield FieldError(
            field, f"{_shown(value)} is below the smallest value of {_shown(low)}.", low
        )
    elif value > high:
        remedy = f" Raise {Limits.setting(limit)} to allow it." if limit else ""
        yield FieldError(
            field, f"{_shown(value)} is above the limit of {_shown(high)}.{remedy}", high
        )


def _shown(value: float) -> str:
    """Return `900`, `0.1`, `1,000`: whole numbers without a point."""
    if abs(value) >= 10**16:
        return "This number"
    return f"{int(value) if value == int(value) else value:,}"


def bounded_text(field: str, value: str, longest: int, *, empty: bool = True) -> Wrong:
    """Find what is too long or empty, and control characters, which can hide what is there."""
    if len(value) > longest:
        yield FieldError(
            field,
            f"{len(value):,} characters are above the limit of {longest}.",
            longest,
        )
    elif not value.strip() and not empty:
        yield FieldError(field, "This must not be empty.")
    elif any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in value):
        yield FieldError(field, "Control characters cannot be used here.")


def counted(field: str, count: int, low: int, high: int, what: str) -> Wrong:
    """Find a count outside of `low` to `high`; `what` is counted."""
    if not low <= count <= high:
        yield FieldError(field, f"{count:,} {what}: give {low} to {high:,}.", high)


def known_name(field: str, value: str, names: Iterable[str]) -> Wrong:
    """Find a name that is none of those that there are."""
    if value not in (known := list(names)):
        there = ", ".join(filter(None, known))
        able = f": choose one of {there}" if there else ", nor any other to choose"
        yield FieldError(field, f"There is no {value[:60]!r} here{able}.")
