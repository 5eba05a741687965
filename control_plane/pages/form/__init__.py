"""The form of a new run: its data, whose names are paths in the spec; as documents, and back."""

import asyncio
import re
import secrets
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, HTTPException, Request
from fastapi.responses import RedirectResponse

from control_plane.domain.errors import Conflict
from control_plane.domain.request import NAME, placeholder_names
from control_plane.domain.run import Run
from control_plane.pages.urls import runs_url

FieldValues = Mapping[str, tuple[str, ...]]
Made = TypeVar("Made")

BOX_FIELDS = {"target.configuration", "client.strategy"}
"""Fields of which nothing is sent where nothing is ticked."""


BEFORE = "before"
"""Where the requests before the load stand, in the form as in the spec."""

ROWS = "rows"
"""What the form calls the value that holds its rows."""

_REQUEST_VALUE = re.compile(
    r"(.+\.requests\.\d+|before\.\d+)\.values\.(\w+)\.(file|columns|order|secret)(?:\..*)?"
)


@dataclass(frozen=True)
class FormData:
    """Texts by field name, as they were sent; boxes that are not ticked are absent."""

    values: FieldValues

    def text(self, name: str, default: str = "") -> str:
        """Return the text of a field, without spaces around it."""
        return self.values[name][-1].strip() if self.values.get(name) else default

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value sent under a name, in the order of the page."""
        return self.values.get(name, ())

    def has(self, name: str, value: str) -> bool:
        """Tell whether a value is ticked or chosen."""
        return value in self.values.get(name, ())

    def indices(self, prefix: str) -> tuple[int, ...]:
        """Return the numbers of the list items that were sent: 0 and 1 for two streams."""
        pattern = re.compile(re.escape(prefix) + r"\.(\d{1,3})\.")
        found = {int(match[1]) for name in self.values if (match := pattern.match(name))}
        return tuple(sorted(found))

    @property
    def requests(self) -> tuple[str, ...]:
        """Those before the load, then the classes: `before.0`, `workload.streams.0.requests.0` …"""
        before = (f"{BEFORE}.{index}" for index in self.indices(BEFORE))
        classes = (
            f"workload.streams.{stream}.requests.{index}"
            for stream in self.indices("workload.streams")
            for index in self.indices(f"workload.streams.{stream}.requests")
        )
        return (*before, *classes)

    @property
    def captured(self) -> frozenset[str]:
        """The names that requests before the load fill."""
        texts = (self.text(f"{BEFORE}.{index}.capture") for index in self.indices(BEFORE))
        lines = (line for text in texts for line in text.splitlines())
        return frozenset(line.partition(":")[0].strip() for line in lines)

    def placeholders(self, request: str) -> tuple[str, ...]:
        """Return the placeholders of a request that need a value, in the order of its texts."""
        body = self.text(f"{request}.body.{self.text(f'{request}.body')}")
        texts = (self.text(f"{request}.path"), self.text(f"{request}.headers"), body)
        found = dict.fromkeys(name for text in texts for name in placeholder_names(text))
        captured = self.captured
        return tuple(name for name in found if NAME.fullmatch(name) and name not in captured)

    def nearest(self, path: str) -> str:
        """Return the form field for a spec path: itself or its nearest parent; else "".

        A file of rows and its columns have one field.
        """
        if rows := self._rows_of(path):
            return rows
        while path and path not in self.values and path not in BOX_FIELDS:
            path = path.rpartition(".")[0]
        return path

    def _rows_of(self, path: str) -> str:
        found = _REQUEST_VALUE.fullmatch(path)
        if found is None or found[2] != self.text(f"{found[1]}.rows.key", ROWS):
            return ""
        field = "order" if found[3] == "order" else "content"
        return f"{found[1]}.rows.{field}"

    def within(self, prefix: str) -> dict[str, tuple[str, ...]]:
        """Return the fields below a prefix, by the rest of their names."""
        start = f"{prefix}."
        return {
            name.removeprefix(start): texts
            for name, texts in self.values.items()
            if name.startswith(start)
        }


def form_data(pairs: Iterable[tuple[str, object]]) -> FormData:
    """Return the form of posted pairs, without files."""
    values: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        if isinstance(value, str):
            values[name] = (*values.get(name, ()), value)
    return FormData(values)


_CHANGE = re.compile(
    r"(?P<what>add|remove) "
    r"(?P<list>before|workload\.streams(?:\.\d{1,3}\.requests)?)(?:\.(?P<index>\d{1,3}))?"
)


def apply_edit(form: FormData, change: str) -> FormData:
    """Return the form after the edit of a button: a stream or request class added or removed.

    `add workload.streams` copies the last one, `remove workload.streams.1` takes that one away,
    `add before` adds a login. `restore` shows an old form again. What is not understood changes
    nothing; one stream and one request class stay.
    """
    found = _CHANGE.fullmatch(change)
    if found is None:
        return FormData(form.values) if change == "restore" else form
    present = form.indices(found["list"])
    if found["list"] == BEFORE and found["what"] == "add":
        return _with_login(form, max(present, default=-1) + 1)
    if found["what"] == "add" and found["index"] is None and present:
        return _added(form, found["list"], present[-1])
    if (
        found["what"] == "remove"
        and found["index"] is not None
        and (len(present) > 1 or found["list"] == BEFORE)
    ):
        return FormData(_without(form.values, found["list"], int(found["index"])))
    return form


def _with_login(form: FormData, index: int) -> FormData:
    login = {
        "method": "POST",
        "path": "/login",
        "per": "user",
        "body": "form",
        "body.form": '{"username": "{username}", "password": "{password}"}',
    }
    fresh = {f"{BEFORE}.{index}.{name}": (text,) for name, text in login.items()}
    return FormData({**form.values, **fresh})


def _added(form: FormData, prefix: str, last: int) -> FormData:
    copied = form.within(f"{prefix}.{last}")
    if "name" in copied:
        copied["name"] = (f"{form.text(f'{prefix}.{last}.name')} {last + 2}",)
    fresh = {f"{prefix}.{last + 1}.{name}": texts for name, texts in copied.items()}
    return FormData({**form.values, **fresh})


def _without(values: FieldValues, prefix: str, index: int) -> FieldValues:
    """Remove an entry; those behind it move up, so that the numbers stay those of the spec."""
    pattern = re.compile(re.escape(prefix) + r"\.(\d{1,3})\.(.*)", re.DOTALL)
    kept: dict[str, tuple[str, ...]] = {}
    for name, texts in values.items():
        found = pattern.fullmatch(name)
        if found is None:
            kept[name] = texts
        elif (at := int(found[1])) != index:
            kept[f"{prefix}.{at - (at > index)}.{found[2]}"] = texts
    return kept


def without_list(values: FieldValues, prefix: str) -> dict[str, tuple[str, ...]]:
    """Return the values without those below a prefix."""
    return {name: texts for name, texts in values.items() if not name.startswith(f"{prefix}.")}


FORM_TYPES = {"application/x-www-form-urlencoded", "multipart/form-data"}
MAX_KEY_LENGTH = 64


async def _form(request: Request) -> FormData:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in FORM_TYPES:
        raise HTTPException(415, "Send the form as a browser does.")
    return form_data((await request.form()).multi_items())


FormDep = Annotated[FormData, Depends(_form)]


async def unless_left(request: Request, work: Coroutine[Any, Any, Made]) -> Made:
    """Return what comes of the work, which is given up when who asked is gone, as by a reload.

    For a request whose body was read. Raises Conflict then.
    """
    asked, left = asyncio.create_task(work), asyncio.create_task(_leaving(request))
    try:
        await asyncio.wait((asked, left), return_when=asyncio.FIRST_COMPLETED)
        if asked.done():
            return asked.result()
        raise Conflict("This was given up, because nobody waits for it any more.")
    finally:
        for task in (asked, left):
            task.cancel()


async def _leaving(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def new_idempotency_key() -> str:
    """Return a random key, so that a form sent twice starts its runs once."""
    return secrets.token_urlsafe(12)


def idempotency_key(form: FormData) -> str:
    """Return the form's key, or a new one."""
    return form.text("key")[:MAX_KEY_LENGTH] or new_idempotency_key()


def redirect_to_runs(runs: Sequence[Run]) -> RedirectResponse:
    """Redirect to the page of one run, or of all beside each other."""
    return RedirectResponse(runs_url([run.id for run in runs]), 303)
