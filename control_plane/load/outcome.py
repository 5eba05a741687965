"""How a request ended.

Its outcome is one number, status * 16 + error, with status 0 where none came and error 0 where the
request completed, otherwise the place of its class in ERROR_CLASSES, from 1.
"""

import errno
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from control_plane.domain.secrets import HIDDEN, is_secret_header
from control_plane.domain.stream_record import (
    ERROR_CLASSES,
    REDIRECTS,
    UNANSWERED_CLASSES,
    FailedResponse,
)
from control_plane.load.request_source import Request

_BY_ERRNO = {
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ECONNABORTED: "reset",
    errno.ECONNREFUSED: "refused",
    errno.ENOENT: "refused",
    errno.EADDRNOTAVAIL: "no_local_port",
    errno.EMFILE: "no_files",
    errno.ENFILE: "no_files",
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "refused",
    errno.ENETUNREACH: "refused",
}

ErrorTypes = Sequence[tuple[type[BaseException], str]]
"""Exception types of a library with their classes, the more telling ones first."""


def classify(error: BaseException, types: ErrorTypes) -> str:
    """Return one of ERROR_CLASSES: by the system's error number first, then by type.

    It is `protocol` where neither says anything.
    """
    errors = list(error_chain(error))
    for part in errors:
        if isinstance(part, OSError) and part.errno in _BY_ERRNO:
            return _BY_ERRNO[part.errno]
    for kind, name in types:
        if any(isinstance(part, kind) for part in errors):
            return name
    return "protocol"


def error_chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all that it was made from: arguments, causes, contexts; each once."""
    waiting, seen = [error], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        inner = [*part.args, getattr(part, "reason", None), part.__cause__, part.__context__]
        waiting += [cause for cause in inner if isinstance(cause, BaseException)]


ERROR_MASK = 15
_PLACES = {name: place for place, name in enumerate(ERROR_CLASSES, start=1)}


Outcome = tuple[int, int, int]
"""The outcome, and the bytes of the bodies that were sent and received.

Requests that end alike share one, as far as they are remembered: thousands wait to be counted.
"""


@lru_cache(maxsize=1_000)
def response_outcome(
    status: int, expected: frozenset[int] | None, sent: int, received: int
) -> Outcome:
    """Return how a request ended whose whole body came; `expected` None stands for 200 to 299."""
    if (200 <= status <= 299) if expected is None else status in expected:
        return status << 4, sent, received
    return failure("redirect" if status in REDIRECTS else "status", sent, received, status)


@lru_cache(maxsize=1_000)
def failure(error: str, sent: int, received: int = 0, status: int = 0) -> Outcome:
    """Return how a request ended that failed; `error` is one of ERROR_CLASSES."""
    return status << 4 | _PLACES[error], sent, received


def error_class(outcome: int) -> str | None:
    """Return the error class of an outcome; None when completed."""
    place = outcome & ERROR_MASK
    return ERROR_CLASSES[place - 1] if place else None


def is_answered(kind: Outcome) -> bool:
    """Return whether a whole answer came, if not the expected one."""
    return error_class(kind[0]) not in UNANSWERED_CLASSES


def unanswered_among(kinds: Mapping[Outcome, int]) -> int:
    """Return how many ended without an answer, of outcomes with their numbers."""
    return sum(count for kind, count in kinds.items() if not is_answered(kind))


def timeouts_among(kinds: Mapping[Outcome, int]) -> int:
    """Return how many ended at their deadline, of outcomes with their numbers."""
    return sum(count for kind, count in kinds.items() if error_class(kind[0]) == "timeout")


def bytes_received_of(kinds: Mapping[Outcome, int]) -> int:
    """Return the bytes of all bodies that were received, of outcomes with their numbers."""
    return sum(count * size for (_, _, size), count in kinds.items())


def count_by_class(outcomes: Iterable[tuple[int, int]]) -> tuple[dict[str, int], dict[str, int]]:
    """Return errors by class and responses by status, from pairs of outcome and count."""
    errors: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    for outcome, count in outcomes:
        error, status = error_class(outcome), outcome >> 4
        if error:
            errors[error] += count
        if status:
            statuses[str(status)] += count
    return dict(errors), dict(statuses)


BODY_BYTES = 2_048
_HEAD_CHARACTERS = 4_096
_MOST = 32

_INTERIM = re.compile(rb"HTTP/1\.\d 1(?!01)\d\d ")
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked", re.IGNORECASE)
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})[^\r\n]*\r\n")

Headers = Iterable[tuple[bytes, bytes]]


class BodySample:
    """The beginning of a body, up to `most` bytes; None: all of it."""

    def __init__(self, most: int | None = BODY_BYTES) -> None:
        self._most = most
        self.data = bytearray()

    def add(self, piece: bytes) -> None:
        """Keep what there is room for."""
        self.data += piece if self._most is None else piece[: self._most - len(self.data)]


class FirstFailures:
    """Keeps the first request that failed in each way, with the beginning of its response, and what
    kind of responses tell no end.

    One for each load worker; safe to use from many threads: the later of two is dropped. A good
    response costs one comparison of its status.
    """

    def __init__(self) -> None:
        self._kept: dict[int, FailedResponse] = {}
        self._endless: dict[int, str] = {}

    def sample(self, status: int, request: Request) -> BodySample | None:
        """Return where the body of this response is to be kept; None where it need not be."""
        expected, content = request.expect, request.content
        if 200 <= status <= 299 if expected is None else status in expected:
            return None if content is None else BodySample(None if content.reads else BODY_BYTES)
        return None if len(self._kept) >= _MOST else BodySample()

    def knows(self, ended: Outcome) -> bool:
        """Return whether a request that ended so was kept, or none is to be kept."""
        return ended[0] in self._kept or len(self._kept) >= _MOST or error_class(ended[0]) is None

    def keep(
        self,
        ended: Outcome,
        request: Request,
        headers: Headers = (),
        body: bytes = b"",
        detail: str = "",
    ) -> None:
        """Keep a request that failed unless another did so in the same way before."""
        if self.knows(ended):
            return
        outcome, _, received = ended
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        redirects = (value for name, value in pairs if name.lower() == "location")
        failed = FailedResponse(
            error=error_class(outcome) or "",
            request=f"{request.method} {request.path}"[:500],
            status=outcome >> 4 or None,
            location=next(redirects, None),
            head="\n".join(f"{name}: {_shown(name, value)}" for name, value in pairs)[
                :_HEAD_CHARACTERS
            ],
            body=body[:BODY_BYTES].decode("utf-8", "replace").replace("\0", "\ufffd"),
            body_bytes=max(received, len(body)),
            detail=detail[:300],
        )
        self._kept.setdefault(outcome, failed)

    def keep_cut_off(
        self, request: Request, status: int, headers: Headers, body: bytes = b""
    ) -> None:
        """Keep what came of a response that its deadline cut off, with its status."""
        ended = failure("timeout", len(request.body), len(body), status)
        self.keep(ended, request, headers, body)

    def keep_raw(self, ended: Outcome, request: Request, response: bytes, detail: str = "") -> None:
        """Keep a failed request with the beginning of its response as it came."""
        if self.knows(ended):
            return
        headers, body = parsed_response(response)
        self.keep(ended, request, headers, body, detail)

    def response(
        self,
        ended: Outcome,
        request: Request,
        headers: Callable[[], Headers],
        sample: BodySample | None,
    ) -> "Ended":
        """Take a response whose end was classed: keep it if it failed.

        Where its content is to be checked it is handed on for that.
        """
        body = b"" if sample is None else bytes(sample.data)
        if request.content is not None and error_class(ended[0]) is None:
            return UncheckedResponse(ended, request, body, headers, self)
        if not self.knows(ended):
            self.keep(ended, request, headers(), body)
        return ended

    def note_open_end(self, request: Request, media_type: str | None) -> None:
        """Note a response that has begun and does not say where it ends."""
        if request.kind not in self._endless:
            self._endless[request.kind] = (media_type or "").partition(";")[0].strip()[:100]

    def open_ends(self) -> dict[str, str]:
        """Return the media types of such responses by the place of their request class."""
        return {str(kind): media_type for kind, media_type in sorted(self._endless.copy().items())}

    def kept(self) -> tuple[FailedResponse, ...]:
        """Return those that were kept, in the order in which they came."""
        return tuple(self._kept.copy().values())


@dataclass(frozen=True, slots=True)
class UncheckedResponse:
    """A response that came whole with an expected status, whose content is to be checked.

    That is done when its end is noted, so that no time holds it.
    """

    ended: Outcome
    request: Request
    body: bytes
    headers: Callable[[], Headers]
    failures: FirstFailures

    def outcome(self) -> Outcome:
        """Return how the request ended; a response with other content is kept as failed."""
        code, sent, received = self.ended
        content = self.request.content
        unmet = content.unmet(self.body, received) if content else ""
        if not unmet:
            return self.ended
        ended = failure("content", sent, received, code >> 4)
        if not self.failures.knows(ended):
            self.failures.keep(ended, self.request, self.headers(), self.body, unmet)
        return ended


Ended = Outcome | UncheckedResponse
"""How a request ended, or what tells it once the moment is noted."""


def outcome_of(ended: Ended) -> Outcome:
    """Return how a request ended; call it when that moment is noted."""
    return ended.outcome() if isinstance(ended, UncheckedResponse) else ended


def parsed_response(response: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return headers and body of a response from its beginning as it came."""
    head, _, body = response.partition(b"\r\n\r\n")
    while _INTERIM.match(head):
        head, _, body = body.partition(b"\r\n\r\n")
    if _CHUNKED.search(head):
        body = _dechunked(body)
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    return [(name, value.strip()) for name, _, value in lines], body


def _dechunked(body: bytes) -> bytes:
    """Return the beginning of a body without the sizes of its chunks."""
    found = b""
    while (size := _CHUNK.match(body)) and (length := int(size[1], 16)):
        found += body[size.end() : size.end() + length]
        body = body[size.end() + length + len(b"\r\n") :]
    return found


def _shown(name: str, value: str) -> str:
    return HIDDEN if is_secret_header(name) else value
