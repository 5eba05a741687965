"""The operations of the chosen application, as the form of a new run lists them."""

from dataclasses import dataclass
from datetime import datetime

from control_plane.domain.application_report import Offer, Operation
from control_plane.domain.spec import BUNDLED
from control_plane.jobs.run_service import RunService
from control_plane.pages.form.form_data import FormData

Stream = tuple[str, str]
"""Its number from 0 and what it is called."""


@dataclass(frozen=True)
class OpenapiPicker:
    """`read_at` None: not read since Looplab was started. `picking`: the list stands open."""

    read_at: datetime | None
    operations: tuple[Operation, ...]
    left_out: int
    streams: tuple[Stream, ...]
    picking: bool


def openapi_picker(form: FormData, service: RunService) -> OpenapiPicker:
    offer = service.openapi_cache.entries.get(openapi_key(form))
    streams = tuple(
        (str(index), form.text(f"workload.streams.{index}.name") or str(index + 1))
        for index in form.indices("workload.streams")
    )
    picking = form.has("picking", "on")
    if offer is None:
        return OpenapiPicker(None, (), 0, streams, picking)
    return OpenapiPicker(offer.read_at, offer.operations, offer.left_out, streams, picking)


def openapi_key(form: FormData) -> str:
    """The key under which an offer is kept: the name of the application, or its URL."""
    chosen = form.text("target", BUNDLED)
    return form.text("target.url") if chosen == "url" else chosen


def picked_operations(form: FormData, offer: Offer | None) -> tuple[Operation, ...]:
    """Those of the list that are ticked and can be made."""
    known = {one.key: one for one in offer.operations} if offer else {}
    found = [known[key] for key in form.all("pick") if key in known]
    return tuple(one for one in found if one.request is not None)
