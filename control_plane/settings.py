"""The settings: options of the command line, before `LOOPLAB_*`, before the file `.env`."""

import re
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from control_plane.applications_file import ApplicationsFile
from control_plane.domain.errors import SettingsError
from control_plane.domain.limits import Limits
from control_plane.domain.target_addresses import allowed_target
from control_plane.targets.application import Applications

PREFIX = "LOOPLAB_"
_PACKAGE = Path(__file__).parent
_SECRETS = frozenset({"token", "password", "viewer_password"})
TOKEN_WORDS = ("auto", "on", "off")
_TOKEN = re.compile(r"[!-~]{16,200}")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class Settings:
    """All that can be set.

    `allowed_hosts` are names under which browsers may call, beside those of this machine.

    `token` is `on` for one that is made at the start, `off` for none, else the token itself; `auto`
    asks for one where the machine has other users. `password` is that of operators,
    `viewer_password` that of those who only look; empty: nobody can log in with it.

    `applications` are those of looplab.toml or pyproject.toml, by name.
    """

    db: Path = Path("runs.db")
    host: str = "127.0.0.1"
    port: int = 8200
    allowed_hosts: tuple[str, ...] = ()
    token: str = field(default="auto", repr=False)
    password: str = field(default="", repr=False)
    viewer_password: str = field(default="", repr=False)
    limits: Limits = field(default_factory=Limits)
    applications: Applications = field(default_factory=dict)

    @property
    def templates_dir(self) -> Path:
        """The folder of the templates."""
        return _folder("templates")

    @property
    def static_dir(self) -> Path:
        """The folder of styles, scripts and pictures."""
        return _folder("static")


class _Environment(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8-sig",
        env_ignore_empty=True,
        extra="ignore",
    )


class _ServerSettings(_Environment):
    """What is set beside the limits. Names of hosts and targets are separated by commas."""

    db: Path = Settings.db
    config: Path | None = None
    port: int = Field(default=Settings.port, ge=0, le=65_535)
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(default=(), validate_default=False)
    token: str = Settings.token
    password: str = Settings.password
    viewer_password: str = Settings.viewer_password
    host: str = Settings.host
    allowed_targets: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), validate_default=False
    )

    @field_validator("token")
    @classmethod
    def _long_token(cls, token: str) -> str:
        if token not in TOKEN_WORDS and not _TOKEN.fullmatch(token):
            raise ValueError("give on, off or auto, or a token of 16 to 200 characters of ASCII")
        return token

    @field_validator("password", "viewer_password")
    @classmethod
    def _long_password(cls, password: str, info: ValidationInfo) -> str:
        if password and not 12 <= len(password) <= 200:
            raise ValueError("give a password of 12 to 200 characters")
        if password and password in info.data.values():
            raise ValueError("give those who look another secret than those who may change")
        return password

    @field_validator("host")
    @classmethod
    def _address(cls, host: str, info: ValidationInfo) -> str:
        if host == "localhost":
            return host
        try:
            loopback = ip_address(host).is_loopback
        except ValueError:
            raise ValueError("give an address of this machine, such as 127.0.0.1") from None
        if not loopback and not _password(info) and info.data.get("token") in {"auto", "off"}:
            raise ValueError(
                "others could start load there without a login: "
                "ask for one with --token or LOOPLAB_PASSWORD, or use 127.0.0.1"
            )
        return host

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        names = _listed(value)
        for name in names:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name[:60]} is not a host name: give names, without ports")
        return names

    @field_validator("allowed_targets", mode="before")
    @classmethod
    def _elsewhere(cls, value: object, info: ValidationInfo) -> object:
        targets = _listed(value)
        for target in targets:
            allowed_target(target)
        if targets and not _password(info) and info.data.get("token") == "off":
            raise ValueError(
                "others could aim load at them without a login: "
                "ask for one with --token or LOOPLAB_PASSWORD"
            )
        return targets


def _listed(value: object) -> list[str]:
    return [part.strip().lower() for part in str(value).split(",") if part.strip()]


def _password(info: ValidationInfo) -> str:
    """Return one that can be logged in with; empty where there is none."""
    found: str = info.data.get("password") or info.data.get("viewer_password") or ""
    return found


_bounds: dict[str, Any] = {
    limit.name: (type(limit.default), Field(default=limit.default, gt=0, allow_inf_nan=False))
    for limit in fields(Limits)
    if limit.name.startswith("max_")
}
_LimitSettings = create_model("_LimitSettings", __base__=_Environment, **_bounds)


def load_settings(
    *,
    host: str | None = None,
    port: int | None = None,
    db: Path | None = None,
    config: Path | None = None,
    token: bool | None = None,
) -> Settings:
    """Read what is set; an argument that is not None wins.

    Raises SettingsError with one line that names the setting, its value and the remedy.
    """
    word = None if token is None else "on" if token else "off"
    options = {"host": host, "port": port, "db": db, "config": config, "token": word}
    given = {name: value for name, value in options.items() if value is not None}
    values = _read(_ServerSettings, given)
    allowed = tuple(map(allowed_target, values.pop("allowed_targets")))
    limits = Limits(**_read(_LimitSettings, {}), allowed_targets=allowed)
    applications = ApplicationsFile(values.pop("config"))
    return Settings(**values, limits=limits, applications=applications)


def _read(kind: type[BaseModel], options: dict[str, Any]) -> dict[str, Any]:
    try:
        return kind(**options).model_dump()
    except ValidationError as error:
        raise SettingsError(_line(error, options)) from None
    except (OSError, UnicodeError) as error:
        raise SettingsError(f".env cannot be read: {error}.") from None


def _line(error: ValidationError, options: dict[str, Any]) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0])
    shown = f"--{name}" if name in options else f"{PREFIX}{name.upper()}"
    message = first["msg"].removeprefix("Value error, ")
    value = "" if name in _SECRETS else f" {str(first['input'])[:60]!r}"
    return f"{shown}{value}: {message}."


def _folder(name: str) -> Path:
    """Return a folder inside the package when it was installed, beside it in a checkout."""
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
