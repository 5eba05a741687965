"""What a form says. The name of a field is its path in the spec."""

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.responses import RedirectResponse

from control_plane.domain.run import Run
from control_plane.pages.urls import runs_url

Values = Mapping[str, tuple[str, ...]]

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,39})\}")

BOXES = {"target.configuration", "client.strategy"}
"""Fields of which nothing is sent where nothing is ticked."""


@dataclass(frozen=True)
class FormData:
    """Texts by field name, as they were sent; boxes that are not ticked are absent."""

    values: Values

    def text(self, name: str, default: str = "") -> str:
        """Return the text of a field, without spaces around it."""
        return self.values[name][-1].strip() if self.values.get(name) else default

    def all(self, name: str) -> tuple[str, ...]:
        """Return what is ticked, in the order of the page."""
        return self.values.get(name, ())

    def has(self, name: str, value: str) -> bool:
        """Tell whether a value is ticked or chosen."""
        return value in self.values.get(name, ())

    def indices(self, prefix: str) -> tuple[int, ...]:
        """Return the numbers below a prefix: 0 and 1 where fields of both streams were sent."""
        pattern = re.compile(re.escape(prefix) + r"\.(\d{1,3})\.")
        found = {int(match[1]) for name in self.values if (match := pattern.match(name))}
        return tuple(sorted(found))

    @property
    def requests(self) -> tuple[str, ...]:
        """The request classes: `workload.streams.0.requests.0` and so on."""
        return tuple(
            f"workload.streams.{stream}.requests.{index}"
            for stream in self.indices("workload.streams")
            for index in self.indices(f"workload.streams.{stream}.requests")
        )

    def placeholders(self, request: str) -> tuple[str, ...]:
        """Return the names in braces of a request class, in the order in which they occur."""
        body = self.text(f"{request}.body.json") if self.has(f"{request}.body", "json") else ""
        texts = (self.text(f"{request}.path"), self.text(f"{request}.headers"), body)
        return tuple(dict.fromkeys(name for text in texts for name in PLACEHOLDER.findall(text)))

    def nearest(self, path: str) -> str:
        """Return the field of a path of the spec: itself or the nearest above; else ""."""
        while path and path not in self.values and path not in BOXES:
            path = path.rpartition(".")[0]
        return path

    def within(self, prefix: str) -> dict[str, tuple[str, ...]]:
        """Return the fields below a prefix, named from there."""
        start = f"{prefix}."
        return {
            name.removeprefix(start): texts
            for name, texts in self.values.items()
            if name.startswith(start)
        }


def form_data(pairs: Iterable[tuple[str, object]]) -> FormData:
    """Return the form of the pairs that were posted; files are left out."""
    values: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        if isinstance(value, str):
            values[name] = (*values.get(name, ()), value)
    return FormData(values)


FORM_TYPES = {"application/x-www-form-urlencoded", "multipart/form-data"}
MAX_KEY_LENGTH = 64


async def _form(request: Request) -> FormData:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in FORM_TYPES:
        raise HTTPException(415, "Send the form as a browser does.")
    return form_data((await request.form()).multi_items())


FormDep = Annotated[FormData, Depends(_form)]


def new_idempotency_key() -> str:
    """Return what is sent with a form, so that sending it twice starts its runs once."""
    return secrets.token_urlsafe(12)


def idempotency_key(form: FormData) -> str:
    """Return the key that the form was sent with; a new one where it has none."""
    return form.text("key")[:MAX_KEY_LENGTH] or new_idempotency_key()


def redirect_to_runs(runs: Sequence[Run]) -> RedirectResponse:
    """Lead to the page of one run, or of all beside each other."""
    return RedirectResponse(runs_url([run.id for run in runs]), 303)
