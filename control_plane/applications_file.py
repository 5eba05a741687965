"""Applications of the settings: `looplab.toml`, or `[tool.looplab]` of pyproject.toml."""

import json
import os
import re
import shlex
import tomllib
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from control_plane.domain.errors import SettingsError
from control_plane.domain.secrets import hide
from control_plane.domain.target_addresses import wrong_host
from control_plane.targets.application import SUCCESS, Application, Applications
from control_plane.targets.target_files import read_file

OWN_FILE = "looplab.toml"
PROJECT_FILE = "pyproject.toml"
PROJECT_TABLE = "tool.looplab"
LONGEST_FILE_BYTES = 1_000_000

_NAME = r"[a-z0-9][a-z0-9_-]{0,39}"
_TAKEN = {"bundled", "url", "own"}
_IMPORT = r"[A-Za-z_][\w.-]*:[A-Za-z_][\w.]*"
_FILE_NAME = r"(?!host$|port$|scratch$)\w[\w.-]{0,99}"
_FILE_REMEDY = "name a file without a folder, such as nginx.conf"
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:=(.*))?", re.DOTALL)


def _matching(pattern: str, remedy: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(remedy)
        return value

    return AfterValidator(check)


class _ApplicationTable(BaseModel):
    """An application as it is written."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    app: Annotated[str, _matching(_IMPORT, "write module:name, such as shop.main:app")] | None = (
        None
    )
    factory: bool = False
    files: dict[Annotated[str, _matching(_FILE_NAME, _FILE_REMEDY)], str] = {}
    command: list[str] | None = None
    python: str | None = None
    directory: str = "."
    env_file: str | None = None
    environment: list[str] = []
    belongs: list[str] = []
    ready_path: (
        Annotated[
            str, _matching(r"/[!-~]{0,1999}", "write a path, such as /health, without spaces")
        ]
        | None
    ) = None
    ready_status: list[int] | None = None
    host: str | None = None
    start_timeout_s: float = Field(default=15.0, ge=0.1, le=600)
    stop_timeout_s: float = Field(default=10.0, ge=0.1, le=600)

    @field_validator("command", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return shlex.split(value)
        except ValueError as error:
            raise ValueError(f"the quotes do not match ({error})") from None

    @field_validator("command")
    @classmethod
    def _placed(cls, value: list[str] | None, info: ValidationInfo) -> list[str] | None:
        if value is None:
            return None
        if not value:
            raise ValueError("name a program and its arguments")
        told = " ".join([*value, *info.data.get("files", {}).values()])
        missing = [place for place in ("{host}", "{port}") if place not in told]
        if missing and re.search(r"--uds\b|\bunix:|\.sock\b", told):
            raise ValueError("unix sockets cannot be measured: let it listen on {host} and {port}")
        if missing:
            raise ValueError(f"write {missing[0]} where the server is told it")
        return value

    @field_validator("environment")
    @classmethod
    def _variables(cls, value: list[str]) -> list[str]:
        for variable in value:
            found = _VARIABLE.fullmatch(variable)
            name = variable.partition("=")[0][:40]
            if found is None or "\0" in variable:
                raise ValueError(f"{name!r} is no variable: write NAME, or NAME=value")
            if name.startswith("LOOPLAB_"):
                raise ValueError(f"{name} belongs to Looplab: leave it out")
        return value

    @field_validator("belongs")
    @classmethod
    def _programs(cls, value: list[str]) -> list[str]:
        for name in value:
            if not name.strip() or "/" in name or "\0" in name:
                raise ValueError("name programs without their folder, such as postgres")
        return value

    @field_validator("ready_status", mode="before")
    @classmethod
    def _statuses(cls, value: object) -> object:
        statuses = value if isinstance(value, list) else [value]
        if not statuses or any(
            type(status) is not int or not 200 <= status <= 599 for status in statuses
        ):
            raise ValueError("write a status from 200 to 599, or a list of them")
        return statuses

    @field_validator("host")
    @classmethod
    def _host(cls, value: str | None) -> str | None:
        if value is not None and (fault := wrong_host(value)):
            raise ValueError(fault.rstrip("."))
        return value

    @field_validator("python", "directory", "env_file")
    @classmethod
    def _path(cls, value: str | None) -> str | None:
        if value is not None and (not value.strip() or "\0" in value):
            raise ValueError("name a path, relative to this file")
        return value

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.app is None) == (self.command is None):
            raise ValueError("give exactly one of app and command")
        if self.factory and self.command is not None:
            raise ValueError("factory goes with app: leave it out beside command")
        if self.files and self.command is None:
            raise ValueError("files go with command, which names them: leave them out beside app")
        return self

    def placed(self, name: str, folder: Path) -> Application:
        """Return it with paths relative to `folder`; a link to an interpreter stays the link."""

        def path(value: str | None) -> Path | None:
            if value is None:
                return None
            return Path(os.path.normpath(folder / Path(value).expanduser()))

        pairs = [variable.partition("=") for variable in self.environment]
        return Application(
            app=self.app or "",
            directory=path(self.directory) or folder,
            ready_path=self.ready_path or "/",
            ready_statuses=self.ready_status or (SUCCESS if self.ready_path else None),
            start_timeout_s=self.start_timeout_s,
            stop_timeout_s=self.stop_timeout_s,
            environment={variable: value for variable, sign, value in pairs if sign},
            name=name,
            factory=self.factory,
            command=tuple(self.command or ()),
            python=path(self.python),
            env_file=path(self.env_file),
            passed_on=tuple(variable for variable, sign, _ in pairs if not sign),
            belongs=tuple(self.belongs),
            files=self.files,
            host=self.host,
        )


def _name(value: str) -> str:
    if not re.fullmatch(_NAME, value) or value in _TAKEN:
        raise ValueError("name it with small letters, digits, - and _, and not bundled, url or own")
    return value


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True)

    applications: dict[Annotated[str, AfterValidator(_name)], _ApplicationTable] = {}


def read_applications(config: Path | None = None) -> Applications:
    """Read `config`, else looplab.toml here, else pyproject.toml here; none where there is no file.

    Raises SettingsError with one line that names file, key, value and remedy.
    """
    path = _file_of(config)
    if config is None and not path.exists():
        return {}
    section = PROJECT_TABLE if path.name == PROJECT_FILE else ""
    document = _parsed(path)
    for key in filter(None, section.split(".")):
        document = document.get(key, {}) if isinstance(document, dict) else {}
    try:
        read = _File.model_validate(document)
    except ValidationError as error:
        raise SettingsError(_line(path, section, error.errors()[0])) from None
    folder = Path.cwd() / path.parent
    return {
        name: application.placed(name, folder) for name, application in read.applications.items()
    }


def _file_of(config: Path | None) -> Path:
    """Return the file that is read: `config`, else looplab.toml unless only pyproject.toml is."""
    own, project = Path(OWN_FILE), Path(PROJECT_FILE)
    return config or (own if own.exists() or not project.exists() else project)


class ApplicationsFile(Mapping[str, Application]):
    """The applications of the settings, read again whenever their file has changed.

    `fault` says what is wrong with it since; the applications are those from before then. May be
    used from any thread. Raises SettingsError where it is wrong at first.
    """

    def __init__(self, config: Path | None = None) -> None:
        self._config = config.absolute() if config else None
        self._folder = Path.cwd()
        self._read = (self._stamp(), read_applications(self._config))
        self.fault = ""

    @property
    def path(self) -> Path:
        """The file to write them in: that which they stand in, where there are any."""
        return self._config or self._folder / (PROJECT_FILE if self.table else OWN_FILE)

    @property
    def table(self) -> str:
        """The table of `path` that they belong to; empty where that is the whole file."""
        others = self._config or (self._folder / OWN_FILE).exists()
        return "" if others or not self._now() else PROJECT_TABLE

    def __getitem__(self, name: str) -> Application:
        return self._now()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    def items(self) -> ItemsView[str, Application]:
        """Return those of one state of the file, whatever becomes of it meanwhile."""
        return self._now().items()

    def values(self) -> ValuesView[Application]:
        """Return the applications of one state of the file."""
        return self._now().values()

    def _now(self) -> Applications:
        stamp = self._stamp()
        if stamp != self._read[0]:
            try:
                self._read, self.fault = (stamp, read_applications(self._config)), ""
            except SettingsError as error:
                self._read, self.fault = (stamp, self._read[1]), str(error)
        return self._read[1]

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        files = [self._config] if self._config else [Path(OWN_FILE), Path(PROJECT_FILE)]
        return tuple(map(_changed, files))


def _changed(path: Path) -> tuple[int, int]:
    """Return when a file was changed and how long it is; zeros where it is not there."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def file_of(applications: Applications) -> tuple[str, str]:
    """Return the path of their file, and what is wrong with it since it was changed."""
    if isinstance(applications, ApplicationsFile):
        len(applications)
        return str(applications.path), applications.fault
    return OWN_FILE, ""


def new_entry(
    applications: Applications, name: str, serves: str, directory: str, python: str
) -> tuple[str, str]:
    """Return the lines of their file for another application, or else what is wrong with it."""
    table = applications.table if isinstance(applications, ApplicationsFile) else ""
    try:
        return written_entry(name, serves, directory, python, table), ""
    except SettingsError as error:
        return "", str(error)


def written_entry(
    name: str, serves: str, directory: str = "", python: str = "", table: str = ""
) -> str:
    """Return the lines for an application in a `table` of its file, by default the whole file.

    `serves` is import string or command. Raises SettingsError with what is wrong.
    """
    key = "app" if re.fullmatch(_IMPORT, serves) else "command"
    given = {key: serves, "python": python, "directory": directory}
    keys = {name: value for name, value in given.items() if value}
    try:
        _File.model_validate({"applications": {name: {key: "", **keys}}})
    except ValidationError as error:
        raise SettingsError(_line(Path(OWN_FILE), "", error.errors()[0])) from None
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items()]
    head = ".".join(filter(None, (table, "applications", name)))
    return "\n".join([f"[{head}]", *lines])


def _parsed(path: Path) -> Any:
    try:
        return tomllib.loads(read_file(path, LONGEST_FILE_BYTES).decode("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path} is not readable TOML: {error}.") from None


_MESSAGES = {
    "string_type": "give text, in quotes",
    "bool_type": "give true or false",
    "list_type": "give a list, in brackets",
    "float_type": "give a number of seconds",
    "dict_type": "give a table",
    "model_type": "give a table, such as [applications.shop]",
    "greater_than_equal": "give 0.1 to 600 seconds",
    "less_than_equal": "give 0.1 to 600 seconds",
    "finite_number": "give 0.1 to 600 seconds",
}


def _line(path: Path, section: str, error: ErrorDetails) -> str:
    keys = [str(part) for part in error["loc"] if part != "[key]"]
    key = ".".join(filter(None, (section, *keys)))
    message = _MESSAGES.get(error["type"], error["msg"].removeprefix("Value error, "))
    if error["type"] == "extra_forbidden":
        known = _ApplicationTable.model_fields if len(error["loc"]) > 1 else _File.model_fields
        message = f"there is no such key, write one of {', '.join(known)}"
    return f"{path}: {' '.join(_shown(key, keys, error['input']))}: {message}."


def _shown(key: str, keys: list[str], value: object) -> Iterator[str]:
    """Values of variables, texts of files and whole tables that may hold them are not repeated."""
    yield key[:120]
    if not {"environment", "files"} & {*keys} and not isinstance(value, (dict, BaseModel)):
        yield hide(repr(value), {})[:60]
