"""The settings: options of the command line, before `LOOPLAB_*`, before the file `.env`."""

import re
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError, create_model, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from control_plane.applications_file import ApplicationsFile
from control_plane.domain.errors import SettingsError
from control_plane.domain.limits import Limits
from control_plane.targets.application import Applications

PREFIX = "LOOPLAB_"
_PACKAGE = Path(__file__).parent
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class Settings:
    """All that can be set.

    `allowed_hosts` are names under which browsers may call, beside those of this machine.

    `applications` are those of looplab.toml or pyproject.toml, by name.
    """

    db: Path = Path("runs.db")
    host: str = "127.0.0.1"
    port: int = 8200
    allowed_hosts: tuple[str, ...] = ()
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
    """What is set beside the limits. Names in `allowed_hosts` are separated by commas."""

    db: Path = Settings.db
    config: Path | None = None
    host: str = Settings.host
    port: int = Field(default=Settings.port, ge=0, le=65_535)
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(default=(), validate_default=False)

    @field_validator("host")
    @classmethod
    def _on_this_machine(cls, host: str) -> str:
        if host == "localhost":
            return host
        try:
            loopback = ip_address(host).is_loopback
        except ValueError:
            raise ValueError("give an address of this machine, such as 127.0.0.1") from None
        if not loopback:
            raise ValueError("others could start load there without a login: use 127.0.0.1")
        return host

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        names = [name.strip().lower() for name in str(value).split(",") if name.strip()]
        for name in names:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name[:60]} is not a host name: give names, without ports")
        return names


_bounds: dict[str, Any] = {
    limit.name: (type(limit.default), Field(default=limit.default, gt=0, allow_inf_nan=False))
    for limit in fields(Limits)
}
_LimitSettings = create_model("_LimitSettings", __base__=_Environment, **_bounds)


def load_settings(
    *,
    host: str | None = None,
    port: int | None = None,
    db: Path | None = None,
    config: Path | None = None,
) -> Settings:
    """Read what is set; an argument that is not None wins.

    Raises SettingsError with one line that names the setting, its value and the remedy.
    """
    options = {"host": host, "port": port, "db": db, "config": config}
    given = {name: value for name, value in options.items() if value is not None}
    values = _read(_ServerSettings, given)
    limits = Limits(**_read(_LimitSettings, {}))
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
    return f"{shown} {str(first['input'])[:60]!r}: {message}."


def _folder(name: str) -> Path:
    """Return a folder inside the package when it was installed, beside it in a checkout."""
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
