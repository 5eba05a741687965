"""What the commands share: their exit codes and options, the settings, the files that they read,
and the dashboard that they talk to.
"""

import asyncio
import signal
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from control_plane import collect_from_now
from control_plane.cli_output import complain
from control_plane.dashboard_client import DashboardClient, RemoteDashboard
from control_plane.domain.api_documents import laid_over
from control_plane.domain.errors import FieldError, InvalidInput, SettingsError, refuse
from control_plane.domain.experiment import read_experiment, rounded_blocks
from control_plane.domain.ids import is_id
from control_plane.domain.limits import Limits
from control_plane.domain.request import as_object
from control_plane.domain.row_files import UnreadableRows, decoded
from control_plane.domain.spec import Spec
from control_plane.domain.spec_json import Document, read_document, read_spec, row_values
from control_plane.domain.target_addresses import AllowedTarget
from control_plane.experiments.experiment_file import bundled_experiments
from control_plane.settings import Settings
from control_plane.store.instance_lock import held_files, is_writable, read_lock

NOT_FINISHED, BAD_INPUT, NOT_OWNED = 1, 2, 3
AGAINST, UNDECIDED, INVALID = 10, 11, 12
"""The exit codes above 0. Below they stand as the help of each command tells them."""

_ENDS = """
Exit codes:

0 finished, and nothing speaks against it

1 not finished: failed, cancelled or interrupted

2 bad input

3 the database is owned by another
"""
_INVALID = """
12 finished and invalid: its numbers are not to be used
"""
MEASURED_EXIT_CODES = _ENDS + _INVALID
EXIT_CODES = f"""{_ENDS}
10 an objective failed

11 an objective is undecided (with --strict, else 0)
{_INVALID}"""
EXPERIMENT_EXIT_CODES = f"""{_ENDS}
10 a contender is worse, a guardrail broke, or an objective failed

11 undecided, a guardrail too (with --strict, else 0)

12 an arm is invalid: there is no verdict
"""
TREND_EXIT_CODES = """
Exit codes:

0 no step that is worse and was not told yet; also of fewer than ten runs

2 bad input, such as a run that is not there

3 the database is owned by another

10 the newest found step is worse beyond the margin, and was not told: --once or --json tells it
"""
EXPORT_EXIT_CODES = """
Exit codes:

0 the file is written

2 bad input, such as an id that is not there, or a file that is
"""

DatabaseOption = Annotated[Path | None, typer.Option("--db", help="The database file (./runs.db).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def settings_of(context: typer.Context, db: Path | None) -> Settings:
    """Return the settings of a command, with the database that it names."""
    settings: Settings = context.obj
    return replace(settings, db=db) if db else settings


def settings_with_database(context: typer.Context, db: Path | None) -> Settings:
    """Return the settings of a command that asks for what is stored.

    Raises SettingsError where there is no database, before one is made.
    """
    settings = settings_of(context, db)
    _refuse_without_database(settings)
    return settings


def _refuse_without_database(settings: Settings) -> None:
    if full_path(settings).exists():
        return
    if (held := held_files(settings.db)) is not None:
        raise SettingsError(
            f"{settings.db} was deleted. Process {held.pid} still has what it held: save that with "
            "looplab backup FILE before it ends."
        )
    raise SettingsError(f"There is no database at {settings.db}: name one with --db.")


def full_path(settings: Settings) -> Path:
    """Return where the database lies."""
    return settings.db.expanduser().resolve()


@contextmanager
def connect(settings: Settings) -> Iterator[DashboardClient]:
    """Give the dashboard of this database if one runs, else a control plane without a site."""
    holder = read_lock(settings.db)
    if holder is not None and holder.url:
        collect_from_now()
        yield RemoteDashboard(holder.url, holder.token)
        return
    # Store, queue and load, which take a second to import, are for those alone who measure here.
    from control_plane.local_dashboard import LocalDashboard

    collect_from_now()
    # A script's background command inherits that SIGINT is ignored; the runner would heed that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    with asyncio.Runner() as runner, ExitStack() as closing:
        here = LocalDashboard(settings, runner)
        closing.callback(here.close)
        yield here


@contextmanager
def settings_to_read(settings: Settings) -> Iterator[Settings]:
    """Give the settings of a command that only reads what is stored.

    A database that cannot be written is copied first, and the copy thrown away. Raises as
    `settings_with_database`.
    """
    _refuse_without_database(settings)
    database = full_path(settings)
    if is_writable(database) or read_lock(database) is not None:
        yield settings
        return
    from control_plane.store.schema_and_backups import copy_with_log
    from control_plane.store.write_ahead_log import log_path

    with tempfile.TemporaryDirectory(prefix="looplab-read-") as folder:
        copy = Path(folder) / database.name
        copy_with_log(database, log_path(database), copy)
        yield replace(settings, db=copy)


@contextmanager
def connect_to_read(settings: Settings) -> Iterator[DashboardClient]:
    """Give what `connect` gives, of the database of `settings_to_read`."""
    with settings_to_read(settings) as readable, connect(readable) as dashboard:
        yield dashboard


@contextmanager
def connect_to_look(result: str, settings: Settings, *, start: bool) -> Iterator[DashboardClient]:
    """Give the dashboard; without a start, for a file, one whose database is thrown away.

    What was only looked at is kept nowhere: a part of it that came by a link would stand for the
    whole that comes later. Raises SettingsError for an id where there is no database to look into.
    """
    if start or not Path(result).is_file():
        if is_id(result):
            _refuse_without_database(settings)
        with connect(settings) as dashboard:
            yield dashboard
        return
    with (
        tempfile.TemporaryDirectory(prefix="looplab-look-") as folder,
        connect(replace(settings, db=Path(folder) / "look.db")) as dashboard,
    ):
        yield dashboard


def _interrupt(number: int, frame: object) -> None:
    """End the command as Ctrl-C does: in order, with the states written."""
    del number, frame
    signal.raise_signal(signal.SIGINT)


def read_json_file(path: Path) -> Document:
    """Return the object of a file of JSON; of standard input for `-`.

    Raises SettingsError where it cannot be read, or as `read_document`.
    """
    try:
        body = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}.") from None
    return read_document(body)


def with_row_files(document: Document, folder: Path) -> Document:
    """Return a spec with the content of the files that its values of kind row name by path.

    Paths are those from `folder`. Raises InvalidInput with what cannot be read.
    """
    wrong: list[FieldError] = []
    for field, value in row_values(document):
        if isinstance(path := value.get("file"), str):
            try:
                value["file"] = {"name": Path(path).name, "content": _text(folder / path)}
            except UnreadableRows as unreadable:
                wrong.append(FieldError(f"{field}.file", f"{path}: {unreadable}"))
    refuse(wrong)
    return document


def _text(path: Path) -> str:
    """Return the text of a regular file; no other is opened."""
    try:
        if not path.is_file():
            raise UnreadableRows("this is no file." if path.exists() else "there is no such file.")
        return decoded(path.read_bytes())
    except OSError as error:
        raise UnreadableRows(f"{error.strerror}.") from None


def experiment_file(path: Path, *, full: bool = False) -> Document:
    """Return the document of an experiment. Raises SettingsError or InvalidInput.

    What ends in .toml is TOML, everything else JSON; a slug stands for a bundled experiment.
    """
    slugs = bundled_experiments()
    if str(path) in slugs and not path.exists():
        return slugs[str(path)].document("full" if full else "quick")
    if not path.exists() and path.suffix not in {".toml", ".json"} and str(path) != "-":
        known = ", ".join(slugs)
        raise SettingsError(f"There is no file {path}, and no bundled experiment: choose {known}.")
    document = _read_toml(path) if path.suffix == ".toml" else read_json_file(path)
    refuse(_not_finite(document))
    arms = document.get("arms")
    parts = [document, *(arms if isinstance(arms, list) else [])]
    for spec in (part.get("spec") for part in parts if isinstance(part, dict)):
        if isinstance(spec, dict):
            with_row_files(spec, path.parent)
    return document


def _not_finite(value: Any, path: str = "") -> Iterator[FieldError]:
    """Yield each number that JSON has none for: nan, inf and what is too large to be kept."""
    if isinstance(value, float) and not isfinite(value):
        yield FieldError(path, "Give a finite number.")
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _not_finite(inner, f"{path}.{key}".lstrip("."))


def _read_toml(path: Path) -> Document:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}.") from None


def tell_load_elsewhere(document: Document, limits: Limits) -> None:
    """Print which other machines a spec or an experiment sends load to, before it is handed in.

    What is wrong says nothing here: it will be refused.
    """
    from control_plane.analysis.prose.run_sentences import arms_elsewhere, load_elsewhere

    with suppress(InvalidInput, ValueError):
        if "arms" not in document:
            told = load_elsewhere(_specs_elsewhere([document], limits))
        else:
            submitted = read_experiment(document)
            arms = [laid_over(submitted.spec or {}, arm.spec) for arm in submitted.arms]
            arms += arms[:1] if submitted.control else []
            blocks = rounded_blocks(len(arms), submitted.blocks)
            told = arms_elsewhere(_specs_elsewhere(arms, limits), blocks)
        for line in told:
            complain(line)


def _specs_elsewhere(documents: Sequence[Document], limits: Limits) -> Iterator[Spec]:
    """Yield what asks a server by its address, whether or not it is allowed here."""
    for document in documents:
        if isinstance(url := as_object(document.get("target")).get("url"), str):
            asked = AllowedTarget(urlsplit(url).hostname or "")
            yield read_spec(document, replace(limits, allowed_targets=(asked,)))
