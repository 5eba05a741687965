"""Every exception that Looplab raises on purpose.

LooplabError
├── InvalidInput          a person or a program gave something that cannot be used: 422
│   └── UnreadableInput   it is not even JSON or a form: 400
├── NotFound              no such run, configuration or page: 404
├── UnreadableRun         the database has a run of which something cannot be read: 404
├── Conflict              the state forbids it now: 409
│   └── MachineBusy       until no run measures or waits
├── QueueFull             too many runs wait: 429
├── TooManyGuesses        a peer showed too many wrong secrets: 429
├── StoreError            the database cannot be used: exit 2, or 503 while serving
│   ├── DatabaseBusy      another process holds the lock: 503
│   ├── DatabaseFull      no space left on the disk
│   └── DatabaseOwned     another control plane has the file: exit 3
├── SettingsError         the settings cannot be used: exit 2
└── TrialFailed           a trial ended without a result; the run becomes `failed`
    ├── TargetFailed      the target did not start, or died
    │   └── StartPrevented   the machine kept it from starting: others have its ports
    └── ClientFailed      a load worker died or could not work
"""

from collections.abc import Iterable
from dataclasses import dataclass


class LooplabError(Exception):
    """The base of all of them. The message is one readable line: the value, and what to do."""


@dataclass(frozen=True)
class FieldError:
    """What is wrong with a field.

    `field` is the dotted path in the spec (`workload.streams.0.load.concurrency`), `limit` the
    bound that was passed, where there is one. `at_field` is what a form says beside its field,
    where `message` tells how to write it in the document.
    """

    field: str
    message: str
    limit: float | int | str | None = None
    at_field: str | None = None


class InvalidInput(LooplabError):
    """Something cannot be used as it was given. `fields` says what is wrong with each field."""

    def __init__(self, message: str, fields: tuple[FieldError, ...] = ()) -> None:
        super().__init__(message)
        self.fields = fields

    @property
    def first(self) -> str:
        """What is wrong with the first field, without its name; else the whole."""
        return self.fields[0].message if self.fields else str(self)


class UnreadableInput(InvalidInput):
    """Not JSON, not UTF-8, or not the announced type."""


class NotFound(LooplabError):
    """Nothing stands at that address."""


class UnreadableRun(LooplabError):
    """What the database holds of a run is not what was written there."""


class Conflict(LooplabError):
    """The present state does not allow it."""


class MachineBusy(Conflict):
    """A run measures or waits, which this would disturb; it may be over after `wait_s`."""

    wait_s = 1.0


class QueueFull(LooplabError):
    """The queue holds as many runs as the settings allow."""


class TooManyGuesses(LooplabError):
    """This peer gave too many wrong secrets; it may try again after `wait_s`."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"Too many wrong secrets: try again in {wait_s:.0f} s.")
        self.wait_s = wait_s


class ComeAgain(LooplabError):
    """What is asked for would disturb what goes on now; it may be there after `wait_s`."""

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class StoreError(LooplabError):
    """The database cannot be used as it is.

    The message may name the file, for the log and the command line. `plain` is without its path,
    for pages and for what is stored.
    """

    def __init__(self, message: str, plain: str = "") -> None:
        super().__init__(message)
        self.plain = plain or message


class DatabaseBusy(StoreError):
    """Another process has held the lock for longer than we wait."""


class DatabaseFull(StoreError):
    """The disk is full."""


class DatabaseOwned(StoreError):
    """Another control plane has this file; `pid` is its process, `url` its address if known."""

    def __init__(self, message: str, pid: int, url: str | None = None) -> None:
        super().__init__(message)
        self.pid = pid
        self.url = url


class SettingsError(LooplabError):
    """A setting has a value that cannot work."""


class TrialFailed(LooplabError):
    """A trial ended without a result. The message becomes the run's reason.

    `log` holds the last lines that the process printed, oldest first.
    """

    def __init__(self, message: str, log: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.log = log


class TargetFailed(TrialFailed):
    """The target did not start in time, ended, or is not ours."""


class StartPrevented(TargetFailed):
    """Something on the machine that is not of the target kept it from starting.

    Others have its ports, or the system gives no port or process.
    """


class ClientFailed(TrialFailed):
    """A load worker ended early or reported that it cannot work."""


def refused(fields: tuple[FieldError, ...]) -> InvalidInput:
    """Return an InvalidInput that says the first of them, and how many more there are."""
    first = f"{fields[0].field}: {fields[0].message}" if fields[0].field else fields[0].message
    more = f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""
    return InvalidInput(first + more, fields)


def refuse(found: Iterable[FieldError]) -> None:
    """Raise InvalidInput unless nothing was found wrong."""
    if wrong := tuple(found):
        raise refused(wrong)
