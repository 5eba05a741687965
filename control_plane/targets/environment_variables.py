"""The environment variables of a target, and what servers and interpreters read unasked.

A list says what may pass, and the settings name more. Where Looplab writes the command line, what a
field of the target decides is left out, and files are shut out. Whatever else is read is named in
the environment of a run.
"""

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path, PurePath
from urllib.parse import unquote

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from control_plane.domain.errors import TargetFailed
from control_plane.domain.spec import BUNDLED, DEFAULT_THREADS, Target
from control_plane.targets.application import Application, settings_variables
from control_plane.targets.inside.looplab_probe.ring import THREADS_VARIABLE
from control_plane.targets.target_files import read_file


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


PROBE_SOURCE = Path(__file__).parent / "inside"
PASSED_ON = {
    "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER",
    "VIRTUAL_ENV",
}  # fmt: skip
_PRINTED_AT_ONCE = {"PYTHONUNBUFFERED": "1"}
"""So that what a program printed before it hung or was killed stands in its log."""
_SECRET_VARIABLE = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|WEBHOOK|TOKEN(?!IZ)|(API|ACCESS|PRIVATE)_?KEY"
    r"|(^|_)(PASS|JWT|COOKIE|SALT)(_|\d*$)|_PWD$|(^|_)(KEYS?|AUTH)\d*$",
    re.IGNORECASE,
)
_ABOUT_A_SECRET = re.compile(
    r"(?<!WEBHOOK)_(URL|URI|PATH|FILE|DIR|HOST|PORT|NAME|USER|MODEL|MODULE|CLASS|BACKEND|PROVIDER"
    r"|SERVICE|APPLICATION_CREDENTIALS|HASHERS?|VALIDATORS|ALGORITHM|TYPE|HEADER|PREFIX|LENGTH|TTL|TIMEOUT|LIFETIME|AGE|EXPIRY"
    r"|EXPIRES?|SECONDS|MINUTES|DAYS|ENABLED|ISSUER|AUDIENCE|DOMAIN|SAMESITE)$",
    re.IGNORECASE,
)
_INNER_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_URL_PASSWORD = re.compile(r"://(?:[^\s/:@]*:([^\s/]+)|([^\s/:@]{16,}))@")
"""As programs read it, up to the last `@`; a long user without a password is a token."""
_PARAMETER = re.compile(
    r"(?:password|passwd|pwd|secret|token|api_?key|accesskey)[\"']?\s*[=:]\s*[\"']?([^\s\"'&;,}]+)",
    re.IGNORECASE,
)
INSTANCE = "LOOPLAB_INSTANCE"
LAUNCH = "LOOPLAB_LAUNCH"


def target_environment(
    application: Application, target: Target, instance: str, launch: str
) -> dict[str, str]:
    """Return the variables of a target: a list of what may pass, so that no secret of ours does.

    `instance` and `launch` mark every process that comes from this start. Raises TargetFailed when
    the file of variables cannot be read.
    """
    passed = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_ON or name.startswith("LC_")
    }
    variables = (
        _PRINTED_AT_ONCE
        | passed
        | _virtual_environment_of(application)
        | settings_variables(target)
        | _settings_of(application, target)
    )
    paths = filter(None, (str(PROBE_SOURCE), variables.get("PYTHONPATH")))
    marks = {INSTANCE: instance, LAUNCH: launch, "PYTHONPATH": os.pathsep.join(paths)}
    return variables | _pool_size_of(target) | marks


def _settings_of(application: Application, target: Target) -> dict[str, str]:
    """Return what the settings name, without what fields of the target decide."""
    variables = configured_variables(application)
    away = left_out(target.server, variables)
    return {name: value for name, value in variables.items() if name not in away}


def _pool_size_of(target: Target) -> dict[str, str]:
    """Return the size of the thread pool for the probe; the bundled application sets its own."""
    if target.application == BUNDLED or target.threads in {None, DEFAULT_THREADS}:
        return {}
    return {THREADS_VARIABLE: str(target.threads)}


def configured_variables(application: Application) -> dict[str, str]:
    """Return what the settings name. A fixed value wins over our environment, ours over a file."""
    named = {name: os.environ[name] for name in application.passed_on if name in os.environ}
    return _file_of(application) | named | dict(application.environment)


def secret_variables(application: Application) -> dict[str, str]:
    """Return the texts that nothing may show, by what they are called."""
    return variable_secrets(configured_variables(application)) if application.own else {}


def is_secret_variable(name: str) -> bool:
    """Return whether the whole value of an environment variable is never shown: SECRET_KEY …

    Not that of one which tells about a secret, such as PASSWORD_FILE or TOKEN_URL.
    """
    name = _INNER_CAPITAL.sub("_", name)
    return bool(_SECRET_VARIABLE.search(name)) and not _ABOUT_A_SECRET.search(name)


def variable_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the texts of environment variables that are secret, by what they are called.

    The values of those whose names say so; of others the passwords in URLs and in parameters,
    such as `password=…` of a connection string.
    """
    found: dict[str, str] = {}
    for name, value in variables.items():
        if is_secret_variable(name):
            found[name] = value
        for number, text in enumerate(dict.fromkeys(_passwords_in(value)), start=1):
            found[f"password {number} of {name}" if number > 1 else f"password of {name}"] = text
    return found


def _passwords_in(value: str) -> Iterator[str]:
    """Yield them as they are written, and as they are meant where URLs encode them."""
    for pattern in (_URL_PASSWORD, _PARAMETER):
        for match in pattern.finditer(value):
            written = next(filter(None, match.groups()))
            yield from (written, unquote(written))


def missing_variables(application: Application) -> Iterator[str]:
    """Yield the names to be passed on that neither our environment nor the file has."""
    known = {*os.environ, *_file_of(application), *application.environment}
    yield from (name for name in application.passed_on if name not in known)


def unread_settings(application: Application, target: Target) -> Iterator[tuple[str, str]]:
    """Yield what its server would read and does not get, each with what to do instead."""
    for name in left_out(target.server, configured_variables(application)):
        yield (
            f"The variable {name} is left out: what it says is a field of the target.",
            "Choose that in the run.",
        )
    if name := settings_file(application, target):
        yield (
            f"{name} is not read: fields of the target and its command line decide.",
            f"To have it, name it in a command: {target.server} -c {name} …",
        )


def settings_file(application: Application, target: Target) -> str:
    """Return the file in its directory that its server would read unasked; "" for none."""
    known = UNASKED.get(target.server)
    name = known.file if known else ""
    return name if name and (application.directory / name).is_file() else ""


def _file_of(application: Application) -> dict[str, str]:
    """Return the variables of the application's env_file, as python-dotenv reads it.

    `${NAME}` is filled from the file itself, else from our environment. Raises TargetFailed if
    unreadable.
    """
    values = dotenv_values(stream=StringIO(_text_of(application)))
    return {name: value for name, value in values.items() if value is not None}


def unread_lines(application: Application) -> Iterator[int]:
    """Yield the numbers of lines of its env_file that are no `NAME=value`. Raises TargetFailed."""
    for binding in parse_stream(StringIO(_text_of(application))):
        if binding.error:
            yield binding.original.line


MOST_ENV_FILE_BYTES = 1_000_000


def _text_of(application: Application) -> str:
    """Return what stands in its env_file, "" where it has none. Raises TargetFailed."""
    path = application.env_file
    if path is None:
        return ""
    try:
        text = read_file(path, MOST_ENV_FILE_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise TargetFailed(f"start: env_file {path} cannot be read: {why}") from None
    if "\0" in text:
        raise TargetFailed(f"start: env_file {path} has a NUL byte: take it out")
    return text


def _virtual_environment_of(application: Application) -> dict[str, str]:
    """Return PATH and VIRTUAL_ENV of the application's own virtual environment, if it has one."""
    if application.python is None:
        return {}
    programs = application.python.parent
    path = os.pathsep.join((str(programs), os.environ.get("PATH", os.defpath)))
    return {"PATH": path, "VIRTUAL_ENV": str(programs.parent)}
