"""Waits of a chosen length: awaited, in a worker thread, or blocking the event loop."""

from target_app.workload import Workload

workload = Workload("delays", "Waits of a chosen length, each in three ways.")


@workload.serve("GET", "/health")
async def health() -> dict[str, str]:
    """Answers as soon as the application does."""
    return {"status": "ok"}


@workload.serve("GET", "/welcome")
async def welcome() -> dict[str, str]:
    """A constant greeting."""
    return {"message": "Welcome"}
