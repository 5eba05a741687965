"""The error class of an exception: the same fault has the same class in every strategy."""

import errno
from collections.abc import Iterator, Sequence

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

Types = Sequence[tuple[type[BaseException], str]]
"""Exception types of a library with their classes, the more telling ones first."""


def classify(error: BaseException, types: Types) -> str:
    """One of ERROR_CLASSES: by the system's error number first, then by type, else `protocol`."""
    errors = list(chain(error))
    for one in errors:
        if isinstance(one, OSError) and one.errno in _BY_ERRNO:
            return _BY_ERRNO[one.errno]
    for kind, name in types:
        if any(isinstance(one, kind) for one in errors):
            return name
    return "protocol"


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it was made from: arguments, causes, contexts; each once."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
        waiting += [part for part in inner if isinstance(part, BaseException)]
