"""What an application says that it answers: its operations, each ready as a request class."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Operation:
    """`request` as in a spec; None where none can be made, and `note` says why.

    With a request, `note` says what it leaves to be written by hand, "" for nothing.
    """

    method: str
    path: str
    summary: str = ""
    request: dict[str, Any] | None = None
    note: str = ""

    @property
    def key(self) -> str:
        """`GET /items/{item_id}`."""
        return f"{self.method} {self.path}"

    @property
    def writes(self) -> bool:
        """Whether its method may change what the application stores."""
        return self.method not in SAFE_METHODS


@dataclass(frozen=True)
class Offer:
    """The operations of the application or URL `of`; `left_out` were too many to list."""

    of: str
    read_at: datetime
    operations: tuple[Operation, ...]
    left_out: int = 0
