"""A response that does not end itself: where the reading of it ends."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from control_plane.domain.limits import Checked, kind_told_by_keys
from control_plane.domain.units import SPACE, number_of


@dataclass(frozen=True)
class UntilBytes(Checked):
    """Reading ends when so many bytes of the body came."""

    bytes: int

    @property
    def label(self) -> str:
        """`until 1,000 bytes came`."""
        return f"until {number_of(self.bytes, 'byte')} came"


@dataclass(frozen=True)
class UntilSeconds(Checked):
    """Reading ends so long after the head of the response came."""

    seconds: float

    @property
    def label(self) -> str:
        """`for 2 s`."""
        return f"for {self.seconds:g}{SPACE}s"


@dataclass(frozen=True)
class UntilEvent(Checked):
    """Reading ends behind that event of a stream of server-sent events, from 1."""

    event: int

    @property
    def label(self) -> str:
        """`until its first event`, `until its event 3`."""
        return f"until its {'first event' if self.event == 1 else f'event {self.event}'}"


EVENT_STREAM = "text/event-stream"
"""The media type of server-sent events (HTML, 9.2)."""

_KINDS: Mapping[str, Callable[[Any], UntilBytes | UntilSeconds | UntilEvent]] = {
    "bytes": UntilBytes, "seconds": UntilSeconds, "event": UntilEvent,
}  # fmt: skip
Until = Annotated[UntilBytes | UntilSeconds | UntilEvent, kind_told_by_keys(_KINDS)]
"""Where the reading of a response ends that does not end itself; its connection is closed then."""


def end_label(written: Mapping[str, Any]) -> str:
    """Return the label of one as a document has it: `until its first event`."""
    ((name, value),) = written.items()
    return _KINDS[name](value).label
