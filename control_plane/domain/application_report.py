"""What a look at an application of the settings found: whether it starts, and what is missing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `remedy` says what to do, "" where nothing is wrong.

    `level` missing: it cannot start so; doubt: it starts, but something is not as it may be meant.
    """

    level: Literal["good", "doubt", "missing"]
    text: str
    remedy: str = ""


@dataclass(frozen=True)
class Checkup:
    """One look at the application of that name.

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
