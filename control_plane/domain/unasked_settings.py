"""What servers and interpreters read though no command line names it: variables, and files.

Where Looplab writes the command line, what a field of the target decides is left out of the
environment, and files are shut out. Whatever else is read is named in the environment of a run.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True)
class UnaskedSettings:
    """What one server reads: `variables`, of which `decided` stand for fields of a target.

    `file` lies in its directory; `without_file` on its command line shuts that out, and
    `named_by` are the options by which a command names another.
    """

    variables: str
    decided: frozenset[str] = frozenset()
    file: str = ""
    without_file: tuple[str, ...] = ()
    named_by: tuple[str, ...] = ()


def _prefixed(prefix: str, names: str) -> frozenset[str]:
    return frozenset(f"{prefix}{name}" for name in names.split())


UNASKED: Mapping[str, UnaskedSettings] = {
    "uvicorn": UnaskedSettings(
        r"UVICORN_\w+|WEB_CONCURRENCY|FORWARDED_ALLOW_IPS",
        _prefixed(
            "UVICORN_",
            "APP FACTORY HOST PORT UDS FD WORKERS LOOP HTTP RELOAD ACCESS_LOG TIMEOUT_KEEP_ALIVE "
            "BACKLOG",
        )
        | {"WEB_CONCURRENCY"},
    ),
    "gunicorn": UnaskedSettings(
        r"GUNICORN_\w+|WEB_CONCURRENCY|FORWARDED_ALLOW_IPS|SENDFILE",
        frozenset({"WEB_CONCURRENCY"}),
        "gunicorn.conf.py",
        # A module without any setting: gunicorn has no option for none.
        ("--config", "python:__future__"),
        ("-c", "--config"),
    ),
    "granian": UnaskedSettings(
        r"GRANIAN_\w+",
        _prefixed(
            "GRANIAN_",
            "APP FACTORY HOST PORT UDS INTERFACE WORKERS LOOP RELOAD LOG_ACCESS_ENABLED BACKLOG",
        ),
    ),
}
"""hypercorn and waitress read none."""

_OF_ANY_PROGRAM = (
    r"PYTHON\w*|MALLOC_\w+|GLIBC_TUNABLES|LD_PRELOAD|LD_LIBRARY_PATH|NODE_OPTIONS|NODE_ENV"
    r"|UV_THREADPOOL_SIZE|GOMAXPROCS|GOGC|GOMEMLIMIT|JAVA_TOOL_OPTIONS|JDK_JAVA_OPTIONS|RUBYOPT"
    r"|OMP_NUM_THREADS|OPENBLAS_NUM_THREADS|UWSGI_\w+|HYPERCORN_\w+|FLASK_\w+"
)
"""Those of interpreters and runtimes, and of servers that only a command starts."""


_RUNS_OTHERS = {"sh", "bash", "make", "just", "npm", "honcho"}
"""Programs that may start any server."""


def left_out(server: str, names: Collection[str]) -> tuple[str, ...]:
    """Return which variables a server does not get, because fields of its target decide that."""
    known = UNASKED.get(server)
    return tuple(name for name in names if known and name in known.decided)


def read_unasked(server: str, names: Collection[str]) -> tuple[str, ...]:
    """Return which variables a server reads, or the program of a command might."""
    servers = UNASKED.values() if server == "command" else filter(None, [UNASKED.get(server)])
    pattern = re.compile("|".join([_OF_ANY_PROGRAM, *(known.variables for known in servers)]))
    away = left_out(server, names)
    return tuple(name for name in names if pattern.fullmatch(name) and name not in away)


def files_of_command(command: Sequence[str]) -> Iterator[str]:
    """Yield the files that a command may read: every word or value of an option, and unasked ones.

    Whether they are there is not looked at.
    """
    for word in command:
        yield word.partition("=")[2] if word.startswith("-") else word
    called = {PurePath(word).name for word in command}
    script = bool(called & _RUNS_OTHERS) or any(name.endswith(".sh") for name in called)
    options = {word.partition("=")[0] for word in command}
    for name, known in UNASKED.items():
        if known.file and (script or name in called) and not options & {*known.named_by}:
            yield known.file
