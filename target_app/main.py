"""The application as any ASGI server loads it: `target_app.main:app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI

from target_app.settings import Settings
from target_app.workloads import delays, items

# Routes are tried in this order, so the cheapest answers come first.
WORKLOADS = (items.workload, delays.workload)


def create_app(settings: Settings) -> FastAPI:
    """Routes are handed over flat: `include_router` would cost each request 8 µs more."""
    app = FastAPI(
        title="Looplab's target",
        routes=[route for workload in WORKLOADS for route in workload.routes],
        openapi_tags=[workload.tag for workload in WORKLOADS],
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.settings = settings
    return app


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Sizes the pool in which `def` endpoints run."""
    settings: Settings = app.state.settings
    to_thread.current_default_thread_limiter().total_tokens = settings.threads
    yield


app = create_app(Settings.from_environment())
