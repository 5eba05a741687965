"""The page of a new run: the form with its values and errors, and the plan beside it."""

import json
from dataclasses import dataclass
from typing import ClassVar

from control_plane.domain.errors import InvalidInput, LooplabError
from control_plane.jobs.desk import Configuration, Desk
from control_plane.pages.given import Given
from control_plane.pages.plan import Checked, Plan, checked, plan_of
from control_plane.pages.presets import Preset, book
from control_plane.pages.view import View


@dataclass(frozen=True)
class Notice:
    title: str
    text: str


@dataclass(frozen=True)
class NewRunPage(View):
    """`wrong` holds messages by field name; `preset` is the one that is shown, or "".

    `written` is the JSON in the box below the form, `refused` why it was not taken.
    """

    template: ClassVar[str] = "pages/new_run.html"
    form: Given
    wrong: dict[str, str]
    plan: Plan
    key: str
    preset: str
    presets: tuple[Preset, ...]
    configurations: tuple[Configuration, ...]
    notice: Notice | None
    written: str
    refused: tuple[str, ...]


def new_run_page(form: Given, desk: Desk, key: str, *, told: bool = True) -> NewRunPage:
    """`told` False: fields show no errors yet, because they were only just added."""
    read = checked(form, desk)
    return NewRunPage(
        form=form,
        wrong=_by_field(form, read) if told else {},
        plan=plan_of(form, read, desk),
        key=key,
        preset="",
        presets=book().presets,
        configurations=desk.configurations(),
        notice=None,
        written=json.dumps(read.documents[0], indent=2, ensure_ascii=False),
        refused=(),
    )


def messages_of(error: LooplabError) -> tuple[str, ...]:
    """With the path of each wrong field, as the writer of a spec knows it."""
    fields = error.fields if isinstance(error, InvalidInput) else ()
    return tuple(f"{one.field}: {one.message}" for one in fields) or (str(error),)


def _by_field(form: Given, read: Checked) -> dict[str, str]:
    """The first message of each field; those of parts that have no field stand at the nearest."""
    messages: dict[str, str] = {}
    for path, message in read.messages.items():
        messages.setdefault(form.nearest(path), message)
    return messages
