"""Which runs are asked for, as SQL."""

import re
import unicodedata
from typing import Any, TypedDict

from sqlalchemy import ColumnElement, text
from sqlmodel import col, select

from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.states import State
from control_plane.store.tables import RunRow, RunTag

MOST = 200
_CURSOR = re.compile(r"[0-9a-f]{1,15}")
_TRIGRAM = 3

Conditions = list[ColumnElement[bool]]


class Filters(TypedDict, total=False):
    """None and empty text ask for all. `validity` is an outcome.

    `text` holds words that must all occur in title, tags, note or id.
    """

    state: State | None
    tag: str | None
    strategy: str | None
    text: str | None
    configuration: str | None
    validity: str | None


def conditions(filters: Filters) -> Conditions:
    """Raises InvalidInput for text that cannot be stored, so that no run can have it."""
    for field, value in filters.items():
        refuse_unstorable(field, str(value or ""))
    equal: dict[Any, str | None] = {
        col(RunRow.state): filters.get("state"),
        col(RunRow.strategy): filters.get("strategy"),
        col(RunRow.configuration): filters.get("configuration"),
        col(RunRow.outcome): filters.get("validity"),
    }
    found: Conditions = [column == value for column, value in equal.items() if value]
    if tag := filters.get("tag"):
        found.append(col(RunRow.seq).in_(select(RunTag.run).where(RunTag.tag == tag)))
    words = (filters.get("text") or "").split()
    return found + [_contains(word, f"word{at}") for at, word in enumerate(words)]


def page_bounds(limit: int, cursor: str | None) -> Conditions:
    """Where the page begins.

    Raises InvalidInput for a limit outside of 1 to 200 or a cursor that was not given out.
    """
    if not 1 <= limit <= MOST:
        raise _wrong("limit", f"{limit:,} is outside of 1 to {MOST}.")
    if not cursor:
        return []
    if not _CURSOR.fullmatch(cursor):
        raise _wrong("cursor", "This is not a cursor of the list: leave it out.")
    return [col(RunRow.seq) < int(cursor, 16)]


def cursor_after(row: RunRow) -> str:
    return f"{row.seq:x}"


def refuse_unstorable(field: str, value: str) -> None:
    """Raises InvalidInput for NUL and lone surrogates, which SQLite cannot take."""
    if any(sign == "\x00" or unicodedata.category(sign) == "Cs" for sign in value):
        raise _wrong(field, "Control characters cannot be used here.")


def _contains(word: str, name: str) -> ColumnElement[bool]:
    """The index knows three characters and more; shorter words are looked for in every run."""
    if len(word) >= _TRIGRAM:
        wanted = '"' + word.replace('"', '""') + '"'
        found = f"run.seq IN (SELECT rowid FROM run_text WHERE run_text MATCH :{name})"
    else:
        wanted = "%" + re.sub(r"([\\%_])", r"\\\1", word) + "%"
        found = f"run.seq IN (SELECT rowid FROM run_text WHERE text LIKE :{name} ESCAPE '\\')"
    return text(found).bindparams(**{name: wanted})  # type: ignore[return-value]


def _wrong(field: str, message: str) -> InvalidInput:
    return InvalidInput(f"{field}: {message}", (FieldError(field, message),))
