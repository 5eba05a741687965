"""Why a target did not start, read from its reason and its log lines, each with a remedy."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from control_plane.domain.server_command_lines import APPLICATION_SERVERS, package_of

MOST_HINTS = 3
_OPTIONAL = {"uvloop", "httptools"}
"""Event loop and parser that a server may be told to use without bringing them."""
_SERVER_MODULES = [
    *_OPTIONAL,
    *(server.module for server in APPLICATION_SERVERS.values()),
    *(
        name
        for server in APPLICATION_SERVERS.values()
        for name, kind in server.workers.items()
        if kind.package
    ),
]
_FRAME = re.compile(r'^\s*File "(?!<)([^"]{1,300})", line (\d+)')
_PLACE = re.compile(r"\{\w+\}")


@dataclass(frozen=True)
class StartHint:
    """What a line says when a target does not start: `pattern` finds it, `cause` explains it.

    `remedy` has places for the groups of the pattern, and for `python` and `package`.
    """

    pattern: re.Pattern[str]
    cause: str
    remedy: str

    @property
    def general(self) -> str:
        """The remedy for any application: `Its interpreter finds no module …`."""
        return _PLACE.sub("…", self.remedy)


@dataclass(frozen=True)
class StartReason:
    """What stands in the reason of a failed start, and what it means."""

    says: str
    means: str


def _hint(pattern: str, cause: str, remedy: str) -> StartHint:
    return StartHint(re.compile(pattern), cause, remedy)


_FOREIGN_MODULE = _hint(
    r"No module named '?(?P<module>[\w.]{1,80})'?",
    "A module is imported that its interpreter does not find: its package is missing there, or it "
    "lies in another folder than directory.",
    "Its interpreter finds no module {module}: install the package that brings it, or correct the "
    "import, directory or app.",
)

LOG_HINTS = (
    _hint(
        rf"No module named '?(?P<module>{'|'.join(_SERVER_MODULES)})(?![\w.])",
        "The server, or a part of it, is not installed in the interpreter that python names.",
        "{module} is not installed in its interpreter: {python} -m pip install {package}",
    ),
    _FOREIGN_MODULE,
    _hint(
        r"Could not import module \"(?P<module>[\w.]{1,80})\"",
        "app names a module that is not in directory.",
        "There is no module {module} in its directory: correct app or directory.",
    ),
    _hint(
        r"(?:Attribute \"|has no attribute ')(?P<name>[\w.]{1,80})(?:\" not found in module|')",
        "app names something that its module does not have.",
        "The module has no {name}: correct the name after the colon of app.",
    ),
    _hint(
        r"(?:KeyError: '|Set the |[Ee]nvironment variable \"|Config '|UndefinedValueError: )"
        r"(?P<name>[A-Z][A-Z0-9_]{1,80})(?:'| environment variable|\" not set| not found)",
        "It reads an environment variable that is not set: a target has only those that the "
        "settings name.",
        "It asks for the variable {name}: add it to environment or env_file.",
    ),
    _hint(
        r"define the environment variable (?P<name>DJANGO_SETTINGS_MODULE)\b",
        "Django is not told which settings to read.",
        "Django has no settings: add {name}=… to environment, such as mysite.settings.",
    ),
    _hint(
        r"validation errors? for (?P<name>\w*(?:Settings|Config|Env|Secrets)\w*)",
        "pydantic-settings miss a value, or cannot read it: the log lines after it name which.",
        "{name} lacks values: add the variables that the log names to environment or env_file.",
    ),
    _hint(
        r"^(?P<program>\S{1,200}): No such file or directory$",
        "The program of command is not on the PATH of the target.",
        "The program {program} is not there: correct command, or set python in the settings.",
    ),
    _hint(
        r"Address already in use|address already in use|EADDRINUSE",
        "It listens on a port of its own, which another program has.",
        "It wants a port that another program has: make it use the host and port that it is given.",
    ),
    _hint(
        r"(?:No such option:?|unrecognized arguments?:|[Uu]nknown option:?|bad option:?) "
        r"['\"]?(?P<flag>-{1,2}[\w-]{1,60})",
        "The server is older or newer than the option, or the option is written wrongly.",
        "Its server does not know {flag}: correct command, or install a version that has it.",
    ),
    _hint(
        r"ConnectionRefusedError|[Cc]onnection refused|ECONNREFUSED|could not translate host name"
        r"|Name or service not known",
        "It connects to something at the start, such as a database or a broker, that does not run "
        "or has another address.",
        "It does not reach a service that it needs: start that first, or correct its address in "
        "environment or env_file.",
    ),
    _hint(
        r"Invalid HTTP_HOST header: '(?P<name>[^']{1,80})'",
        "Django answers 400 to a Host that is not in its ALLOWED_HOSTS.",
        "It does not accept the Host {name}: set host to one of its ALLOWED_HOSTS.",
    ),
    _hint(
        r"attempted relative import",
        "A module of a package is imported as if it stood alone.",
        "It imports relative to a package that it is not imported as: set directory to the folder "
        "above the package, and name app with it, such as package.main:app.",
    ),
    _hint(
        r"class uri '(?P<worker>asgi)' invalid or not found",
        "gunicorn has its own ASGI worker since version 24 only.",
        "Its gunicorn has no worker class {worker}, which came with version 24: choose "
        "uvicorn_worker, or {python} -m pip install -U gunicorn",
    ),
    _hint(
        r"missing \d+ required positional arguments?: '(?:receive|send)'",
        "A WSGI server calls an ASGI application.",
        "app is an ASGI application: choose a server for those, such as uvicorn.",
    ),
    _hint(
        r"missing 1 required positional argument: 'start_response'"
        r"|takes [32] positional arguments but [43] were given",
        "An ASGI server calls a WSGI application.",
        "app is a WSGI application, as those of Flask are: choose waitress or a gunicorn with "
        "gthread or sync (none there: {python} -m pip install gunicorn), or name the ASGI "
        "application, as myproject.asgi:application of Django.",
    ),
    _hint(
        r"object is not callable|takes \d+ positional arguments? but",
        "app names something that is no application, such as a function that makes one.",
        "app is not an ASGI application: name the object itself, or set factory = true.",
    ),
)
"""What log lines say. The first that fits a line counts."""

REASON_HINTS = (
    _hint(
        r"answer to GET (?P<path>\S+) was (?P<status>\d{3})",
        "It serves, but its ready_path never answered as it should until start_timeout_s.",
        "It runs, but answers {status} to GET {path}: see the log lines, name another ready_path, "
        "set ready_status = {status} where that is right, or raise start_timeout_s.",
    ),
    _hint(
        r"speaks HTTP/2 alone",
        "Every client here speaks HTTP/1.1, and the server answers HTTP/2 to that.",
        "It speaks HTTP/2 alone: let it take HTTP/1.1, too, or measure what stands before it.",
    ),
    _hint(
        r"no answer to GET (?P<path>\S+)",
        "It takes connections, but its ready_path does not answer until start_timeout_s.",
        "It listens, but does not answer GET {path}: name a ready_path that answers, or raise "
        "start_timeout_s.",
    ),
    _hint(
        r"it listens on (?P<place>unix socket \S+)",
        "It listens on a unix socket, and clients here connect to an address.",
        "It listens on a {place}: let it listen on the host and port that it is given.",
    ),
    _hint(
        r"nothing listens on (?P<place>[^\s,]+)",
        "It listens somewhere else, or was not ready to listen until start_timeout_s.",
        "It did not listen on {place} in time: make it use the host and port that it is given, or "
        "raise start_timeout_s.",
    ),
    _hint(
        r"ended before it was ready, exit code 0$",
        "It put itself into the background. hypercorn ends so, too, whatever its worker died of.",
        "It ended as if all were well: let it stay in the foreground, without --daemon and "
        "sys.exit(). hypercorn has no other exit code: see the log lines.",
    ),
    _hint(
        r"(?P<few>\d+) of (?P<all>\d+) workers accept connections",
        "Some of its workers did not come to serve until start_timeout_s.",
        "Only {few} of {all} workers serve: see the log lines for the others, or raise "
        "start_timeout_s.",
    ),
)
"""What reasons say. The first that fits counts."""


OTHER_REASONS = (
    StartReason(
        "directory … is not there, python … is not there, env_file … is not there",
        "A path of the settings leads nowhere: it is relative to the file, a command to directory.",
    ),
    StartReason(
        "python … is not executable, command: … is not executable",
        "The file is there, but nobody may run it: name an interpreter, or chmod +x it.",
    ),
    StartReason(
        "python … does not run, No server can be imported in …",
        "Its environment is broken, older than Python 3.8, or has no server: install one there.",
    ),
    StartReason(
        "… is made by a framework that brings its own server …",
        "Applications of aiohttp and tornado are neither ASGI nor WSGI: write command in the place "
        "of app, such as python -m aiohttp.web -H {host} -P {port} shop:make_app.",
    ),
    StartReason(
        "env_file … cannot be read",
        "It is not UTF-8, or its rights keep it: save it as UTF-8, and let yourself read it.",
    ),
    StartReason(
        "There is no application …",
        "The settings have lost it since the run was queued: write it there again.",
    ),
    StartReason(
        "port … on … belongs to …",
        "Other programs took each port that was tried: run again.",
    ),
    StartReason(
        "target ended before it was ready, exit code …",
        "It ended by itself: the last lines of its log say why. Exit code 127: its program could "
        "not be run.",
    ),
    StartReason(
        "target ended before it was ready, signal …",
        "It was killed: signal 9 by the system where memory was short, 11 by a fault of a library.",
    ),
    StartReason(
        "target answers 500 to GET …",
        "It cannot be called by its server: one of them is WSGI, the other ASGI.",
    ),
    StartReason(
        "disk full", "There is no space beside the database, where a target has its directory."
    ),
)
"""What reasons say that explain themselves."""


_RAISED = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Exit)(?:: |$)")
MOST_RAISED = 200


def raised(reason: str, log: Sequence[str]) -> str:
    """Return `: RuntimeError: DATABASE_URL is not set`, the end of the last traceback in the log.

    Empty where the target did not end by itself, or printed none.
    """
    if "exit code" not in reason:
        return ""
    last = next((line for line in reversed(log) if _RAISED.match(line)), "")
    return f": {last[:MOST_RAISED]}" if last and last not in reason else ""


def start_hints(reason: str, log: Sequence[str], python: str) -> tuple[str, ...]:
    """Return the remedies that reason and log name, the most telling first; () without any.

    `python` is the interpreter that ran the server, as it is typed.
    """
    if not reason.startswith("start"):
        return ()
    found = [hint for at in reversed(range(len(log))) for hint in _of_line(log, at, python)]
    return tuple(dict.fromkeys([*found, *_first(REASON_HINTS, reason, python)]))[:MOST_HINTS]


def _of_line(log: Sequence[str], at: int, python: str) -> Iterator[str]:
    missing = _FOREIGN_MODULE.pattern.search(log[at])
    importer = _importing(log[:at], missing["module"]) if missing else ""
    for remedy in _first(LOG_HINTS, log[at], python):
        yield remedy if "pip install" in remedy else remedy + importer


def _first(hints: Sequence[StartHint], text: str, python: str) -> Iterator[str]:
    """Yield the remedy of the first hint whose pattern the text has."""
    for hint in hints:
        if match := hint.pattern.search(text):
            groups = match.groupdict()
            module = groups.get("module", "")
            yield hint.remedy.format(**groups, python=python, package=_package(module))
            return


def _package(module: str) -> str:
    return module if module in _OPTIONAL else package_of(module) or module


def _importing(before: Sequence[str], module: str) -> str:
    """Return who asked for the module: the last line of the traceback that stands before.

    Empty where that is the server, which imports by name. A file that lies in the package that it
    asks for shows where that is.
    """
    for line in reversed(before):
        if match := _FRAME.search(line):
            if match[1].endswith("/importlib/__init__.py"):
                break
            above, found, _ = match[1].rpartition(f"/{module}/")
            lies = f" If it is the one in {above}, set directory to that, and name app from there."
            return f" It is imported in {match[1]}, line {match[2]}.{lies if found else ''}"
        if line.startswith("Traceback"):
            break
    return ""
