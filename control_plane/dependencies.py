"""What endpoints share: what they take of application and request, and what OpenAPI tells of it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BaseModel, Field

from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.ids import checked_id
from control_plane.domain.metrics_and_objectives import DEFAULT_MARGIN
from control_plane.domain.spec import SubmittedSpec
from control_plane.domain.spec_json import Document, adapter
from control_plane.domain.trend_runs import (
    AUTO_BASELINE,
    TREND_METRICS,
    TrendAxis,
    TrendKey,
)
from control_plane.jobs.run_service import RunService
from control_plane.store.store import Store

if TYPE_CHECKING:
    from control_plane.analysis.trend import Trend
    from control_plane.domain.trend_runs import StepChange


# Dependencies that only look something up are `async`: FastAPI gives others a thread each time.
async def _store(request: Request) -> Store:
    store: Store = request.state.store
    return store


async def _service(request: Request) -> RunService:
    service: RunService = request.state.service
    return service


StoreDep = Annotated[Store, Depends(_store)]
RunServiceDep = Annotated[RunService, Depends(_service)]
RunId = Annotated[str, Path(description="Ten characters."), AfterValidator(checked_id)]
ExperimentId = Annotated[str, Path(description="Ten characters.", max_length=20)]
TrendSpec = Annotated[str, Path(description="The digest of a spec, or a run.", max_length=20)]

RAW = "raw"
ShortName = Annotated[str, Field(max_length=200)]


class TrendQuery(BaseModel, frozen=True):
    """Which numbers of a trend are looked at, and how.

    `against`: `raw` for the numbers themselves, or the spec of a pinned baseline to which they are
    ratios; `auto` takes the one that was measured in turns with runs enough. `x`: by time, or by
    commit. `margin`: a smaller change is nothing. `suspect` runs count as well. `machine`: the last
    one unless named.
    """

    metric: ShortName = "response_time_s.p50"
    stream: ShortName = ""
    against: ShortName = AUTO_BASELINE
    x: TrendAxis = "time"
    margin: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = DEFAULT_MARGIN
    suspect: bool = False
    machine: ShortName = ""

    def changed(self, **changes: Any) -> str:
        """Return what of the query is not as it is without being asked for, with some changes.

        No baseline stays chosen for a metric that is a share, of which there are no ratios.
        """
        metric = TREND_METRICS.get(changes.get("metric", ""))
        if metric and metric.unit == "share" and self.against != RAW:
            changes["against"] = AUTO_BASELINE
        query = self.model_copy(update=changes).model_dump(exclude_defaults=True)
        if "suspect" in query:
            query["suspect"] = "true"
        return urlencode(query)


TrendQueryDep = Annotated[TrendQuery, Query()]


def asked_trend(subject: str) -> tuple[str, TrendQuery]:
    """Return the spec of a shared trend, and how it is looked at. Raises InvalidInput."""
    spec, _, encoded = subject.partition("?")
    try:
        return spec, TrendQuery.model_validate(dict(parse_qsl(encoded)))
    except ValueError:
        raise InvalidInput("This is not the address of a trend.") from None


class TrendListQuery(BaseModel, frozen=True):
    """Which trends are listed: whether `suspect` runs count, and of which `machine` alone."""

    suspect: bool = False
    machine: ShortName = ""


TrendListQueryDep = Annotated[TrendListQuery, Query()]


def read_trend(store: Store, spec: str, query: TrendQuery) -> "Trend":
    """Return the trend of a spec, named by its digest or by a run.

    Raises NotFound, and InvalidInput for a metric, stream, machine or baseline that there is not.
    """
    from control_plane.analysis.trend import trend_of

    baseline = "" if query.against == RAW else query.against
    key = TrendKey(store.trend_spec(spec), query.stream, query.metric, baseline, query.machine)
    runs = store.trend_runs(key, suspect=query.suspect)
    return trend_of(runs, axis=query.x, margin=query.margin)


def tell_trend(store: Store, spec: str, query: TrendQuery) -> Document:
    """Return a trend as the API gives it, and keep that its alarm was told: once for each step.

    Raises as `read_trend`.
    """
    from control_plane.analysis.prose.experiment_and_trend_json import trend_document
    from control_plane.analysis.trend import mark_of

    trend = read_trend(store, spec, query)
    if step := trend.alarm:
        now = datetime.now(UTC)
        store.tell_step(trend.runs.key, replace(mark_of(trend, step, now), told_at=now))
    return trend_document(trend)


def change_step(store: Store, spec: str, query: TrendQuery, change: "StepChange") -> TrendKey:
    """Do to a step what is asked for; return the key of its trend.

    Raises InvalidInput at the field, Conflict where too many steps are kept, else as `read_trend`.
    """
    from control_plane.analysis.trend import changed_mark

    found = read_trend(store, spec, query)
    key, title = found.runs.key, found.runs.title
    mark = changed_mark(found, change, datetime.now(UTC))
    if change.do != "forget" and (change.do != "restore" or mark.note):
        store.keep_mark(key, mark, title)
    elif mark.id in {each.id for each in found.runs.marks}:
        store.drop_mark(key, mark, title)
    return key


_ERROR = {
    "type": "object",
    "required": ["error", "message", "fields"],
    "properties": {
        "error": {"type": "string"},
        "message": {"type": "string"},
        "fields": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message", "limit"],
                "properties": {
                    "field": {"type": "string"},
                    "message": {"type": "string"},
                    "limit": {},
                },
            },
        },
    },
}


def _error_response(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ERROR}}}


ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: _error_response("Not readable"),
    404: _error_response("No such run"),
    409: _error_response("The present state forbids it"),
    413: _error_response("The body is too large"),
    415: _error_response("Not JSON"),
    422: _error_response("A field is wrong"),
    429: _error_response("The queue is full"),
    503: _error_response("The database is busy"),
}


def api_router(*tags: str) -> APIRouter:
    """Return a router under `/api` that refuses a parameter which the route does not take."""
    refused = [Depends(_refuse_unknown)]
    return APIRouter(prefix="/api", tags=[*tags], responses=ERROR_RESPONSES, dependencies=refused)


async def _refuse_unknown(request: Request) -> None:
    """Raise InvalidInput: a misspelt filter would list all that there is."""
    asked = dict.fromkeys(request.query_params)
    known = _parameters(request.scope["route"]) if asked else ()
    if unknown := [name for name in asked if name not in known]:
        message = f"There is no such parameter; there are: {', '.join(known) or 'none'}"
        fields = tuple(FieldError(name, message) for name in unknown)
        raise InvalidInput(f"{unknown[0]}: {message}.", fields)


def _parameters(route: APIRoute) -> tuple[str, ...]:
    """Return the names that the route takes in its query, neither in its path nor as headers."""
    named = [field.alias for field in get_flat_params(route.dependant)]
    return tuple(name for name in named if name not in route.param_convertors and name.islower())


def spec_schemas() -> dict[str, Any]:
    """Return the schema of the spec, and of all that it holds, by name."""
    spec = adapter(SubmittedSpec).json_schema(ref_template="#/components/schemas/{model}")
    return {**spec.pop("$defs", {}), "Spec": spec}


SPEC_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Spec"}}},
    }
}

BUNDLE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/vnd.sqlite3": {"schema": {"type": "string", "format": "binary"}}},
    }
}
