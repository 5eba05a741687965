"""Large JSON bodies: `{"name": str, "data": {str: int}}`, parsed in each way.

A body of 25 MB holds 1,250,000 pairs of a ten-letter key and an integer.
"""

import time
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import orjson
from anyio import to_thread
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field, ValidationError

from target_app.workload_router import Ready, WorkloadRouter

LARGEST_BYTES = 64_000_000
ONE_MEGABYTE = Ready(body={"generated": {"shape": "name-data", "size_bytes": 1_000_000}})
A_BODY: dict[str, Any] = {"ready": ONE_MEGABYTE, "max_body_size": LARGEST_BYTES}


class Payload(BaseModel):
    name: Annotated[str, Field(max_length=200)]
    data: dict[str, int]


class PayloadSummary(BaseModel):
    """What was in the body. `server_ms` runs from the request's headers to this answer."""

    name: str
    count: int
    maximum: int | None
    server_ms: float
    request_bytes: int


class TimedRoute(APIRoute):
    """Notes when the headers have arrived: FastAPI parses the body before the endpoint runs."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_timed(request: Request) -> Response:
            request.state.started_s = time.perf_counter()
            return await handle(request)

        return handle_timed


workload = WorkloadRouter(
    "payloads", "JSON bodies of up to 64 MB, parsed in three ways.", route_class=TimedRoute
)


@workload.serve("POST", "/payloads/model", aliases=["/ping"], **A_BODY)
async def parse_as_model(payload: Payload, request: Request) -> PayloadSummary:
    """FastAPI reads the whole body, parses it and makes the model, all on the event loop."""
    return _summary(payload, request, len(await request.body()))


@workload.serve("POST", "/payloads/stream", aliases=["/pong"], **A_BODY)
async def parse_streamed(request: Request) -> PayloadSummary:
    """The body is read in chunks; orjson and the model take it on the event loop."""
    body = await _read(request)
    return _summary(_parse(body), request, len(body))


@workload.serve("POST", "/payloads/thread", **A_BODY)
async def parse_in_thread(request: Request) -> PayloadSummary:
    """The body is read in chunks; orjson and the model take it in a thread of the pool."""
    body = await _read(request)
    payload = await to_thread.run_sync(_parse, body)
    return _summary(payload, request, len(body))


async def _read(request: Request) -> bytearray:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
    return body


def _parse(body: bytearray) -> Payload:
    """Raises FastAPI's own error, answered as 422, as if it had parsed the body."""
    try:
        return Payload.model_validate(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise RequestValidationError(
            [{"type": "json_invalid", "loc": ("body", error.pos), "msg": error.msg}]
        ) from error
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_input=False)) from error


def _summary(payload: Payload, request: Request, request_bytes: int) -> PayloadSummary:
    return PayloadSummary(
        name=payload.name,
        count=len(payload.data),
        maximum=max(payload.data.values(), default=None),
        server_ms=(time.perf_counter() - request.state.started_s) * 1000,
        request_bytes=request_bytes,
    )
