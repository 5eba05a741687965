"""The page of a new run: the form with its values and errors, operations to pick, and the plan."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar

from control_plane.domain.client_strategies import STRATEGIES, StrategyInfo
from control_plane.domain.errors import InvalidInput, LooplabError
from control_plane.domain.secrets import digests_in
from control_plane.domain.spec import BUNDLED
from control_plane.domain.spec_json import Document
from control_plane.domain.target_addresses import may_be_asked
from control_plane.experiments import Preset, preset_catalogue
from control_plane.experiments.pasted_requests import Pasted
from control_plane.jobs.run_service import (
    Application,
    Configuration,
    Offer,
    Operation,
    RunService,
)
from control_plane.pages.form import FormData, without_list
from control_plane.pages.form.arms import varied_fields
from control_plane.pages.form.field_types import FormParser, Section
from control_plane.pages.form.fields import FORM
from control_plane.pages.form.from_spec import request_fields, value_fields
from control_plane.pages.form.to_spec import CheckedForm, check_form
from control_plane.pages.new_run.preview import PlanView, plan_view
from control_plane.pages.site import View

StreamName = tuple[str, str]
"""Its number from 0 and what it is called."""

MAX_PICKED = 100


@dataclass(frozen=True)
class OpenapiPicker:
    """`read_at` None: not read since Looplab was started. `picking`: the list stands open."""

    read_at: datetime | None
    operations: tuple[Operation, ...]
    left_out: int
    streams: tuple[StreamName, ...]
    picking: bool


def openapi_picker(form: FormData, service: RunService) -> OpenapiPicker:
    """Return the operations of the chosen application, as far as they were read."""
    offer = offer_of(form, service)
    streams = tuple(
        (str(index), form.text(f"workload.streams.{index}.name") or str(index + 1))
        for index in form.indices("workload.streams")
    )
    picking = form.has("picking", "on")
    if offer is None:
        return OpenapiPicker(None, (), 0, streams, picking)
    return OpenapiPicker(offer.read_at, offer.operations, offer.left_out, streams, picking)


def offer_of(form: FormData, service: RunService) -> Offer | None:
    """Return the operations read for the application or URL of the form; None before that."""
    chosen = form.text("target", BUNDLED)
    key = form.text("target.url") if chosen == "url" else chosen
    return service.openapi_cache.entries.get(key)


def openapi_target(form: FormData, service: RunService) -> Document:
    """Return the target whose OpenAPI document is read: the form's choice, by any server."""
    chosen = form.text("target", BUNDLED)
    if chosen == "url":
        return {"url": form.text("target.url")}
    by_command = any(known.name == chosen and known.command for known in service.applications())
    return {"application": chosen} | ({"server": "command"} if by_command else {})


def with_open_list(form: FormData) -> FormData:
    """Return the form with the list of operations open."""
    return FormData({**form.values, "picking": ("on",)})


def picked_operations(form: FormData, offer: Offer | None) -> tuple[Operation, ...]:
    """Return the ticked operations that can be made as requests."""
    known = {operation.key: operation for operation in offer.operations} if offer else {}
    ticked = [known[key] for key in form.all("pick") if key in known]
    return tuple(operation for operation in ticked if operation.request is not None)


def refused_picks(form: FormData, operations: Sequence[Operation]) -> dict[str, str]:
    """Return messages by field: nothing is ticked, or what writes is without its own tick."""
    if not operations:
        return {"pick": "Tick at least one of the list. If it was read for another, read it again."}
    writing = next((operation.key for operation in operations if operation.writes), None)
    if writing and not form.has("pick.writes", "on"):
        message = f"Load on {writing} will write to its database: tick that here, or untick it."
        return {"pick.writes": message}
    return {}


def with_picked(form: FormData, operations: Sequence[Operation]) -> FormData:
    """Return the form with operations added to the stream that it names, or in their place."""
    return with_requests(form, [known.request for known in operations if known.request])


def with_requests(form: FormData, requests: Sequence[Document]) -> FormData:
    """Return the form with request classes added to the stream that it names, or in their place.

    What they were picked or pasted from is taken out of it.
    """
    stream = form.text("pick.stream", "0")
    known = {str(index) for index in form.indices("workload.streams")}
    prefix = f"workload.streams.{stream if stream in known else '0'}.requests"
    values = {
        name: texts for name, texts in form.values.items() if not name.startswith(("pick", "paste"))
    }
    first = 0
    if form.text("how") == "replace":
        values = without_list(values, prefix)
    else:
        first = max(form.indices(prefix), default=-1) + 1
    return FormData({**values, **dict(_fields(prefix, first, requests))})


def with_pasted(form: FormData, pasted: Pasted, service: RunService) -> FormData:
    """Return the form with pasted request classes.

    Where no application of the settings is chosen, their address is the target, if it may be asked.
    """
    filled = with_requests(form, pasted.requests)
    chosen = form.text("target", BUNDLED)
    allowed = service.limits.allowed_targets
    if chosen not in {BUNDLED, "url"} or not may_be_asked(pasted.origin, allowed):
        return filled
    return FormData({**filled.values, "target": ("url",), "target.url": (pasted.origin,)})


def _fields(
    prefix: str, first: int, requests: Sequence[Document]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for index, request in enumerate(requests[:MAX_PICKED], first):
        yield from request_fields(f"{prefix}.{index}", request)


@dataclass(frozen=True)
class Notice:
    """`plain`: nothing is wrong, and the spec below the form follows its fields."""

    title: str
    text: str
    plain: bool = False


ASKS_ELSEWHERE = Notice(
    "Nothing was started yet: another machine would get load",
    "Who is asked and how much stands in red beside Start, which starts it now.",
)
SPEC_ASKS_ELSEWHERE = replace(
    ASKS_ELSEWHERE, text="Who is asked and how much stands in red below the spec, further down."
)


@dataclass(frozen=True)
class NewRunPage(View):
    """`wrong` holds messages by field name; `preset` is the one that is shown, or "".

    `spec_text` is the JSON in the box below the form, `spec_errors` why it was refused,
    `spec_elsewhere` which other machines it asks. `kept` says
    by field name where its secrets come from. `varied`: a field is varied.
    """

    template: ClassVar[str] = "pages/new_run.html"
    focuses_wrong: ClassVar[bool] = True
    form: FormData
    wrong: dict[str, str]
    kept: dict[str, str]
    plan: PlanView
    key: str
    preset: str
    presets: tuple[Preset, ...]
    configurations: tuple[Configuration, ...]
    applications: tuple[Application, ...]
    interfaces: Mapping[str, str]
    sections: Mapping[str, Section]
    varied: bool
    strategies: Mapping[str, StrategyInfo]
    offer: OpenapiPicker
    notice: Notice | None
    spec_text: str
    spec_errors: tuple[str, ...]
    spec_elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlanUpdate(View):
    """The plan after a change, and the request classes whose placeholders changed."""

    template: ClassVar[str] = "partials/plan_update.html"
    focuses_wrong: ClassVar[bool] = False
    form: FormData
    wrong: dict[str, str]
    kept: dict[str, str]
    plan: PlanView
    sections: Mapping[str, Section]
    changed: tuple[str, ...]


def new_run_page(
    form: FormData, service: RunService, key: str, *, show_errors: bool = True
) -> NewRunPage:
    """Return the page of a form. `show_errors` False: its fields were just added."""
    read = check_form(form, service)
    return NewRunPage(
        form=form,
        wrong=_by_field(form, read) if show_errors else {},
        kept=_kept_secrets(form, service),
        plan=plan_view(form, read, service),
        key=key,
        preset="",
        presets=preset_catalogue().presets,
        configurations=service.configurations.all(),
        applications=service.applications(),
        interfaces={known.name: service.interface(known) for known in service.applications()},
        sections=FORM,
        varied=bool(varied_fields(FormParser(form))),
        strategies=STRATEGIES,
        offer=openapi_picker(form, service),
        notice=None,
        spec_text=pretty_json(service.submissions.hidden(read.documents[0])),
        spec_errors=(),
    )


def plan_update(form: FormData, service: RunService) -> PlanUpdate:
    """Return the plan anew; a placeholder without a value gets the row that appears for it."""
    shown = with_default_values(form)
    read = check_form(shown, service)
    plan = plan_view(shown, read, service)
    kept = _kept_secrets(shown, service)
    return PlanUpdate(shown, _by_field(shown, read), kept, plan, FORM, _changed(form))


def with_default_values(form: FormData) -> FormData:
    """Give the usual value to placeholders that no row was sent for."""
    fresh = {
        field: texts
        for request in form.requests
        for name in form.placeholders(request)
        if name not in _shown(form, request)
        for field, texts in value_fields(f"{request}.values.{name}")
    }
    return FormData({**form.values, **fresh})


def pretty_json(document: Document) -> str:
    """Return indented JSON, for people to edit."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def spec_errors_of(error: LooplabError) -> tuple[str, ...]:
    """Return the messages of an error, each after the path of its field in the spec."""
    fields = error.fields if isinstance(error, InvalidInput) else ()
    return tuple(f"{field.field}: {field.message}" for field in fields) or (str(error),)


def _by_field(form: FormData, read: CheckedForm) -> dict[str, str]:
    """Return the first message of each field; parts without a field count to their nearest."""
    messages: dict[str, str] = {}
    for path, message in read.messages.items():
        messages.setdefault(form.nearest(path), message)
    return messages


def _kept_secrets(form: FormData, service: RunService) -> dict[str, str]:
    """Return for each field with placeholders of known secrets what they are."""
    digests = {name: digests_in(" ".join(texts)) for name, texts in form.values.items()}
    every = {digest for found in digests.values() for digest in found}
    holders = service.submissions.secret_holders(every) if every else {}
    return {
        name: f"(secret …) is a value kept from run {holders[found[0]]}. It is used and never "
        "shown; type a new value in its place to replace it."
        for name, found in digests.items()
        if found and holders.keys() >= {*found}
    }


def _changed(form: FormData) -> tuple[str, ...]:
    return tuple(
        request
        for request in form.requests
        if set(form.placeholders(request)) != _shown(form, request)
    )


def _shown(form: FormData, request: str) -> set[str]:
    """Return the placeholders whose rows were sent."""
    return {name.partition(".")[0] for name in form.within(f"{request}.values")}
