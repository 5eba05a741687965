"""A form as it was sent, and the key that tells it from one that is sent twice."""

import secrets
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.responses import RedirectResponse

from control_plane.domain.run import Run
from control_plane.pages.form.given import Given, given

FORM_TYPES = {"application/x-www-form-urlencoded", "multipart/form-data"}
LONGEST_KEY = 64


async def _form(request: Request) -> Given:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in FORM_TYPES:
        raise HTTPException(415, "Send the form as a browser does.")
    return given((await request.form()).multi_items())


FormDep = Annotated[Given, Depends(_form)]


def new_key() -> str:
    """Sent with a form, so that sending it twice starts its runs once."""
    return secrets.token_urlsafe(12)


def key_of(form: Given) -> str:
    """A new one where the form has none."""
    return form.text("key")[:LONGEST_KEY] or new_key()


def to_runs(runs: Sequence[Run]) -> RedirectResponse:
    """The page of one run, or of all beside each other."""
    ids = ",".join(run.id for run in runs)
    return RedirectResponse(f"/compare?runs={ids}" if len(runs) > 1 else f"/runs/{ids}", 303)
