"""The application that a target names, what its source tells, and whether both fit each other."""

import ast
import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from control_plane.domain.errors import FieldError, TargetFailed
from control_plane.domain.spec import BUNDLED, Target
from control_plane.targets.configurations import missing_server, not_for_bundled
from control_plane.targets.target_files import read_file

SUCCESS = range(200, 300)
"""The statuses of an application that works, unless it is said otherwise."""


@dataclass(frozen=True)
class Application:
    """`app` is an import string that resolves in `directory`, where the server runs.

    `ready_path` answers with one of `ready_statuses` (None: with any) once the application works.
    `reload_dir` is what `--reload` watches, relative to `directory`. `environment` holds fixed
    values. `stop_timeout_s` passes between SIGTERM and SIGKILL.

    The rest belongs to applications of the settings: `factory` when `app` makes the application,
    `command` instead of `app` where no server of ours is used, `python` the interpreter of its own
    environment (None: ours), `env_file` and the names `passed_on` from our environment. `belongs`
    names programs elsewhere on this machine that work for it, such as its database. `files` are
    texts by name, which are written for each start and which `command` names. `host` is the
    Host that requests carry (None: localhost with the port). `versions` of the packages of its
    interpreter, once they are known.
    """

    app: str
    directory: Path
    ready_path: str = "/"
    ready_statuses: Collection[int] | None = None
    reload_dir: str = "."
    start_timeout_s: float = 15.0
    stop_timeout_s: float = 0.5
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    name: str = BUNDLED
    factory: bool = False
    command: tuple[str, ...] = ()
    python: Path | None = None
    env_file: Path | None = None
    passed_on: tuple[str, ...] = ()
    belongs: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    host: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def own(self) -> bool:
        """Whether it is one of the settings, and does not come with Looplab."""
        return self.name != BUNDLED

    @property
    def ready_text(self) -> str:
        """Which statuses of `ready_path` count, as `200 to 299`, `302 or 401` or `any status`."""
        if self.ready_statuses is None:
            return "any status"
        if isinstance(self.ready_statuses, range):
            return f"{self.ready_statuses.start} to {self.ready_statuses.stop - 1}"
        return " or ".join(map(str, self.ready_statuses))

    @property
    def interpreter(self) -> Path:
        """The Python that runs its server."""
        return self.python or Path(sys.executable)


Applications = Mapping[str, Application]
"""The applications of the settings, by name."""


_ASGI = ("starlette", "fastapi", "litestar", "quart", "sanic", "blacksheep", "channels")
_WSGI = ("flask", "django", "bottle", "pyramid", "falcon", "werkzeug", "webob")
FRAMEWORKS = {**dict.fromkeys(_ASGI, "asgi"), **dict.fromkeys(_WSGI, "wsgi")}
"""What an application of a framework is where its call does not say it, as `falcon.asgi.App`."""
_OWN = dict.fromkeys(("aiohttp", "tornado"), "own")
"""Frameworks whose applications only their own servers serve."""
_TURNED = {"WSGIMiddleware": "asgi", "ASGIMiddleware": "wsgi"}
"""What is made of an application of the other kind."""
_SAID = re.compile("asgi|wsgi")
_MOST_SOURCE_BYTES, _MOST_MODULES = 1_000_000, 20


@dataclass(frozen=True)
class _Module:
    """What the source of a module tells, by name: `origins` of what it imports (`flask.Flask`), and
    what its own names are `made_by`, as they are set last.
    """

    origins: dict[str, str] = field(default_factory=dict)
    made_by: dict[str, str] = field(default_factory=dict)


def interface_in_source(application: Application) -> str:
    """Return `wsgi` or `asgi` where import string or source tell which; empty where neither does.

    `own` for one that only the server of its framework serves. By what makes the application, by
    the name of its module, or else by the frameworks that the module imports, itself or in modules
    of its directory. Nothing of it is run.
    """
    module, _, name = application.app.partition(":")
    modules = _modules(application.directory, module)
    named = _SAID.findall(application.app)
    imported = {
        origin.partition(".")[0] for each in modules.values() for origin in each.origins.values()
    }
    kinds = {FRAMEWORKS[package] for package in imported & FRAMEWORKS.keys()}
    return (
        _interface_made(modules, module, name)
        or (named[-1] if named else "")
        or (kinds.pop() if len(kinds) == 1 else "")
    )


def _interface_made(modules: Mapping[str, _Module], module: str, name: str) -> str:
    """Return the interface of a name by what it is set to, or is in the module it comes from."""
    known = modules.get(module)
    if known is None:
        return ""
    others = {key: value for key, value in modules.items() if key != module}
    if name not in known.made_by:
        above, _, own = known.origins.get(name, "").rpartition(".")
        return _interface_made(others, above, own)
    written = known.made_by[name]
    if written in known.made_by and written != name:
        rest_of = {key: value for key, value in known.made_by.items() if key != name}
        return _interface_made({**others, module: replace(known, made_by=rest_of)}, module, written)
    first, dot, rest = written.partition(".")
    origin = f"{known.origins.get(first, first)}{dot}{rest}"
    said = _SAID.findall(origin.lower())
    return (
        _TURNED.get(origin.rpartition(".")[2], "")
        or (said[-1] if said else "")
        or (FRAMEWORKS | _OWN).get(origin.partition(".")[0], "")
    )


def _modules(directory: Path, first: str) -> Mapping[str, _Module]:
    """Return the module and those of the directory that it imports, each by its name."""
    found: dict[str, _Module] = {}
    waiting = [first]
    while waiting and len(found) < _MOST_MODULES:
        name = waiting.pop()
        places = [(directory / above).joinpath(*name.split(".")) for above in ("", "src")]
        files = [path for at in places for path in (at / "__init__.py", at.with_suffix(".py"))]
        for path in files:
            if name and name not in found and path.is_file():
                package = name if path.name == "__init__.py" else name.rpartition(".")[0]
                found[name] = _read_module(path, package, path.stat().st_mtime_ns)
                origins = found[name].origins.values()
                waiting += [*origins, *(origin.rpartition(".")[0] for origin in origins)]
    return found


@lru_cache(maxsize=200)
def _read_module(path: Path, package: str, _changed_ns: int) -> _Module:
    """Return what a module tells; nothing where it cannot be read."""
    module = _Module()
    try:
        tree = ast.parse(read_file(path, _MOST_SOURCE_BYTES))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                module.origins.update(
                    {alias.asname or alias.name: alias.name for alias in node.names}
                )
            elif isinstance(node, ast.ImportFrom):
                above = _above(node, package)
                module.origins.update(
                    {alias.asname or alias.name: f"{above}.{alias.name}" for alias in node.names}
                )
        for statement in _outside_of_functions(tree.body):
            module.made_by.update(_settings(statement))
    except (OSError, SyntaxError, ValueError, RecursionError):
        pass
    return module


def _above(node: ast.ImportFrom, package: str) -> str:
    """Return the whole name of the module that something is imported from."""
    packages = package.split(".")
    inside = packages[: len(packages) + 1 - node.level] if node.level else []
    return ".".join(filter(None, (*inside, node.module)))


def _outside_of_functions(statements: Sequence[ast.AST]) -> Iterator[ast.AST]:
    for statement in statements:
        yield statement
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for part in ("body", "handlers", "orelse", "finalbody"):
                yield from _outside_of_functions(getattr(statement, part, ()))


_PARAMETERS = {2: "wsgi", 3: "asgi"}


def _settings(statement: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield each name that a statement sets, and by what."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        yield statement.name, _PARAMETERS.get(len(statement.args.args), "")
    elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            if isinstance(target, ast.Name):
                yield target.id, _written(statement.value)


def _written(value: ast.expr) -> str:
    """Return the dotted name of a value, of a call that of what is called; empty of others."""
    if isinstance(value, ast.Call):
        return _written(value.func)
    if isinstance(value, ast.Attribute):
        return f"{_written(value.value)}.{value.attr}"
    return value.id if isinstance(value, ast.Name) else ""


def bundled_application(paths: Collection[str] = ()) -> Application:
    """Return the application that comes with Looplab, prepared for these path templates."""
    spec = find_spec("target_app")
    if spec is None or spec.origin is None:
        raise TargetFailed("The bundled application is missing: install Looplab again.")
    directory = Path(spec.origin).parent.parent
    environment = {"TARGET_PATHS": " ".join(paths)} if paths else {}
    return Application(
        "target_app.main:app", directory, "/health", SUCCESS, "target_app", environment=environment
    )


def placed(text: str, host: str, port: int) -> str:
    """Return a text of the settings with host and port filled."""
    return text.replace("{host}", host).replace("{port}", str(port))


def settings_variables(target: Target) -> dict[str, str]:
    """Return the variables that the bundled application reads; {} for another application."""
    if target.application != BUNDLED:
        return {}
    settings = {"threads": target.threads, **target.settings}
    return {
        f"TARGET_{name.upper()}": _text_of(value)
        for name, value in settings.items()
        if value is not None
    }


def _text_of(value: float | str) -> str:
    """Return the value as text, whole numbers without the point that JSON may give them."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)


def resolve_application(
    target: Target, applications: Applications, paths: Collection[str] = ()
) -> Application:
    """Return the application of a target.

    Raises TargetFailed when the settings have lost it since the run was queued.
    """
    if target.application == BUNDLED:
        return bundled_application(paths)
    application = applications.get(target.application)
    if application is None:
        raise TargetFailed(f"start: {_unknown_text(target.application, applications)}")
    return application


def command_target(name: str) -> Target:
    """Return the target of an application that has a command of its own: nothing else is chosen."""
    return Target(
        name, "command", workers=None, loop=None, http=None, threads=None, reload=None,
        access_log=None, keep_alive_s=None, backlog=None,
    )  # fmt: skip


def application_errors(target: Target, applications: Applications) -> Iterator[FieldError]:
    """Yield what is wrong: an application that does not exist, or a server that does not fit it."""
    name = target.application
    by_command = target.server == "command"
    if name == BUNDLED:
        if by_command:
            message = "The bundled application has no command of its own: choose a server."
            yield FieldError("target.server", message)
        elif lack := not_for_bundled(target) or missing_server(target):
            yield FieldError("target.server", lack)
        return
    application = applications.get(name)
    if application is None:
        yield FieldError("target.application", _unknown_text(name, applications))
    elif by_command != bool(application.command):
        message = (
            f"{name} is served by an import string: choose a server."
            if by_command
            else f'{name} is started by its own command: give "server": "command" and nothing else.'
        )
        yield FieldError("target.server", message)


def _unknown_text(name: str, applications: Applications) -> str:
    names = ", ".join([BUNDLED, *sorted(applications)])
    return f"There is no application {name[:40]!r}. There are: {names}."


def missing_files(application: Application) -> Iterator[str]:
    """Yield a line for each file that is missing or unusable, with what to do."""
    if not application.own:
        return
    if not application.directory.is_dir():
        yield f"directory {application.directory} is not there: correct it in the settings"
    if application.python is not None:
        yield from _interpreter_faults(application.python)
    if application.command and application.directory.is_dir():
        yield from _program_faults(application.command[0], application.directory)
    path = application.env_file
    if path is not None and not (path.is_file() and os.access(path, os.R_OK)):
        yield f"env_file {path} is not there or not readable: make it, or correct the settings"


def _program_faults(program: str, directory: Path) -> Iterator[str]:
    """Yield what is wrong with a program that is named by its path; others are found on PATH."""
    path = directory / program
    if "/" not in program or "{" in program:
        return
    if not path.exists():
        remedy = "its paths are relative to directory, where it runs: correct it in the settings"
        yield f"command: there is no {program} in {directory}; {remedy}"
    elif path.is_dir() or not os.access(path, os.X_OK):
        yield f"command: {path} is not executable: chmod +x it, or name its interpreter before it"


def _interpreter_faults(path: Path) -> Iterator[str]:
    if path.is_dir():
        yield f"python {path} is a folder: name the interpreter in it, such as bin/python"
    elif not path.exists():
        yield f"python {path} is not there: make the environment, or correct the settings"
    elif not os.access(path, os.X_OK):
        yield f"python {path} is not executable: name an interpreter, such as .venv/bin/python"
