"""The cheapest answers: what the server costs without a framework, and the framework without work.

The raw answer is given by `main.Application` before FastAPI sees the request.
"""

from fastapi import Response
from starlette.types import Send

from target_app.workload_router import WorkloadRouter

RAW_PATH = "/null/asgi"
BODY = b"null"

workload = WorkloadRouter("null", "The cheapest answer, from FastAPI and from ASGI alone.")

_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"4")],
}
_END = {"type": "http.response.body", "body": BODY}


async def answer_raw(send: Send) -> None:
    """Send two ASGI messages and nothing else."""
    await send(_START)
    await send(_END)


@workload.serve("GET", "/null")
async def null_from_fastapi() -> Response:
    """A ready response: no parameter, no model, no conversion."""
    return Response(BODY, media_type="application/json")


@workload.serve("GET", RAW_PATH)
async def null_from_asgi() -> Response:
    """The same answer without FastAPI's layers. This endpoint only stands in when the application
    is mounted below another path."""
    return Response(BODY, media_type="application/json")
