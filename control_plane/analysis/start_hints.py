"""Why a target did not start, read from its reason and its log lines, each with a remedy."""

import re
from collections.abc import Callable, Iterator, Sequence

from control_plane.domain.server_command_lines import package_of

_OPTIONAL = {"uvloop", "httptools"}
"""Event loop and parser that a server may be told to use without bringing them."""

_Match = re.Match[str]
_FRAME = re.compile(r'^\s*File "(?!<)([^"]{1,300})", line (\d+)')


def start_hints(reason: str, log: Sequence[str], python: str) -> tuple[str, ...]:
    """Return the remedies that reason and log name, the most telling first; () without any.

    `python` is the interpreter that ran the server, as it is typed.
    """
    if not reason.startswith("start"):
        return ()
    found = [hint for at in reversed(range(len(log))) for hint in _of_line(log, at, python)]
    return tuple(dict.fromkeys([*found, *_of_reason(reason)]))[:3]


def _of_line(log: Sequence[str], at: int, python: str) -> Iterator[str]:
    for pattern, remedy in _LINES:
        if match := pattern.search(log[at]):
            importer = _importing(log[:at]) if remedy is _missing_module else ""
            yield remedy(match, python) + importer
            return


def _importing(before: Sequence[str]) -> str:
    """Return who asked for the module: the last line of the traceback that stands before."""
    for line in reversed(before):
        if match := _FRAME.search(line):
            return f" It is imported in {match[1]}, line {match[2]}."
        if line.startswith("Traceback"):
            break
    return ""


def _of_reason(reason: str) -> Iterator[str]:
    for pattern, hint in _REASONS:
        if match := pattern.search(reason):
            yield hint.format(*match.groups())
            return


def _missing_module(match: _Match, python: str) -> str:
    module = match[1].partition(".")[0]
    if package := module if module in _OPTIONAL else package_of(module):
        return f"{module} is not installed in its interpreter: {python} -m pip install {package}"
    return (
        f"Its interpreter finds no module {match[1]}: install the package that brings it, "
        "or correct the import, directory or app."
    )


def _no_file(match: _Match, python: str) -> str:
    del python
    return f"The program {match[1]} is not there: correct command, or set python in the settings."


def _no_module_there(match: _Match, python: str) -> str:
    del python
    return f"There is no module {match[1]} in its directory: correct app or directory."


def _no_attribute(match: _Match, python: str) -> str:
    del python
    return f"The module has no {match[1]}: correct the name after the colon of app."


def _not_asgi(match: _Match, python: str) -> str:
    del match, python
    return "app is not an ASGI application: name the object itself, or set factory = true."


def _is_wsgi(match: _Match, python: str) -> str:
    del match, python
    return (
        "app is a WSGI application, as those of Flask are: choose waitress or a gunicorn with "
        "gthread or sync, or name the ASGI application, as myproject.asgi:application of Django."
    )


def _is_asgi(match: _Match, python: str) -> str:
    del match, python
    return "app is an ASGI application: choose a server for those, such as uvicorn."


def _no_worker_class(match: _Match, python: str) -> str:
    return (
        f"Its gunicorn has no worker class {match[1]}, which came with version 24: choose "
        f"uvicorn_worker, or {python} -m pip install -U gunicorn"
    )


def _relative(match: _Match, python: str) -> str:
    del match, python
    return (
        "It imports relative to a package that it is not imported as: set directory to the folder "
        "above the package, and name app with it, such as package.main:app."
    )


def _no_variable(match: _Match, python: str) -> str:
    del python
    return f"It asks for the variable {match[1]}: add it to environment or env_file."


_LINES: tuple[tuple[re.Pattern[str], Callable[[_Match, str], str]], ...] = (
    (re.compile(r"No module named '?([\w.]{1,80})'?"), _missing_module),
    (re.compile(r"Could not import module \"([\w.]{1,80})\""), _no_module_there),
    (re.compile(r"Attribute \"([\w.]{1,80})\" not found in module"), _no_attribute),
    (re.compile(r"has no attribute '([\w.]{1,80})'"), _no_attribute),
    (re.compile(r"KeyError: '([A-Z][A-Z0-9_]{1,80})'"), _no_variable),
    (re.compile(r"^(\S{1,200}): No such file or directory$"), _no_file),
    (re.compile(r"attempted relative import"), _relative),
    (re.compile(r"class uri '(asgi)' invalid or not found"), _no_worker_class),
    (re.compile(r"missing \d+ required positional arguments?: '(?:receive|send)'"), _is_asgi),
    (re.compile(r"missing 1 required positional argument: 'start_response'"), _is_wsgi),
    (re.compile(r"takes 3 positional arguments but 4 were given"), _is_wsgi),
    (re.compile(r"takes 2 positional arguments but 3 were given"), _is_wsgi),
    (re.compile(r"object is not callable|takes \d+ positional arguments? but"), _not_asgi),
)

_REASONS = (
    (
        re.compile(r"answer to GET (\S+) was (\d{3})"),
        "It runs, but answers {1} to GET {0}: see the log lines, name another ready_path, set "
        "ready_status = {1} where that is right, or raise start_timeout_s.",
    ),
    (
        re.compile(r"no answer to GET (\S+)"),
        "It listens, but does not answer GET {0}: name a ready_path that answers, or raise "
        "start_timeout_s.",
    ),
    (
        re.compile(r"nothing listens on (\S+)"),
        "It did not listen on {0} in time: make it use the host and port that it is given, or "
        "raise start_timeout_s.",
    ),
)
