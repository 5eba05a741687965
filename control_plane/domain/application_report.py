"""What is known of an application: what a check of it found, and the operations that it offers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Finding:
    """What a check found of one thing. `remedy` says what to do, "" where nothing is wrong.

    `level` missing: it cannot start so; doubt: it starts, but something is not as it may be meant.
    """

    level: Literal["good", "doubt", "missing"]
    text: str
    remedy: str = ""


@dataclass(frozen=True)
class Checkup:
    """A check of the application of that name: whether it starts, and what is missing.

    `outcome` None while it lasts; `stopped` when a run needed the machine. `command` is the line
    that started it, `ready_s` how long that took, `log` what it printed last.
    """

    application: str
    began_at: datetime
    outcome: Literal["starts", "fails", "stopped"] | None = None
    findings: tuple[Finding, ...] = ()
    command: str | None = None
    ready_s: float | None = None
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class TriedRequest:
    """A request that was sent once. `line` is its method and path as they were sent.

    `answer` says status, size and type, or why there was none. `leads` is where it redirects to,
    `begins` how its body begins and `fault` what is not as expected; each may be empty.
    """

    line: str
    answer: str
    leads: str = ""
    begins: str = ""
    fault: str = ""


@dataclass(frozen=True)
class TriedTarget:
    """What the requests of a run met at a target. `name` is that of its configuration.

    `fault` says why it could not be tried, with its `remedy` and what the target printed last.
    """

    name: str
    requests: tuple[TriedRequest, ...] = ()
    fault: str = ""
    remedy: str = ""
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """One operation, ready as a request class.

    `request` is as in a spec; None where none can be made, and `note` says why.
    With a request, `note` says what it leaves to be written by hand, "" for nothing.
    """

    method: str
    path: str
    summary: str = ""
    request: dict[str, Any] | None = None
    note: str = ""

    @property
    def key(self) -> str:
        """Method and path: `GET /items/{item_id}`."""
        return f"{self.method} {self.path}"

    @property
    def writes(self) -> bool:
        """Whether its method may change what the application stores."""
        return self.method not in SAFE_METHODS


@dataclass(frozen=True)
class Offer:
    """The operations that the OpenAPI document of an application or a URL lists.

    `of` is its name or address; `left_out` operations were too many to list.
    """

    of: str
    read_at: datetime
    operations: tuple[Operation, ...]
    left_out: int = 0
