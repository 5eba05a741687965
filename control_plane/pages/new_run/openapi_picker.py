"""The operations of an OpenAPI document: listed by the form, picked as request classes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from control_plane.domain.application_report import Offer, Operation
from control_plane.domain.spec import BUNDLED
from control_plane.domain.spec_json import Document
from control_plane.domain.target_addresses import may_be_asked
from control_plane.experiments.pasted_requests import Pasted
from control_plane.jobs.run_service import RunService
from control_plane.pages.form.form_data import FormData, without_list
from control_plane.pages.form.from_spec import request_fields

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
