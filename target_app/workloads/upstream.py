"""Calls to another service, which answers after `upstream_delay_s`."""

from typing import Any

from target_app.resources import DatabaseDep, UpstreamDep
from target_app.workload_router import WorkloadRouter
from target_app.workloads.users import found, seeded_user

PATHS = ("/documents/1", "/documents/2", "/documents/3")

workload = WorkloadRouter(
    "upstream", "Calls to another service on this machine.", opens=["database", "upstream"]
)


@workload.serve("GET", "/fetch-external-data")
async def fetch_together(upstream: UpstreamDep) -> dict[str, Any]:
    """Three calls together through the shared client."""
    return {"documents": await upstream.fetch_together(upstream.shared, PATHS)}


@workload.serve("GET", "/fetch-external-data/sequential")
async def fetch_in_turn(upstream: UpstreamDep) -> dict[str, Any]:
    """Three calls one after another through the shared client."""
    return {"documents": [await upstream.fetch(upstream.shared, path) for path in PATHS]}


@workload.serve("GET", "/fetch-external-data/new-client")
async def fetch_with_new_client(upstream: UpstreamDep) -> dict[str, Any]:
    """Three calls together through a client made for this request: the bad example."""
    async with upstream.new_client() as client:
        return {"documents": await upstream.fetch_together(client, PATHS)}


@workload.serve(
    "GET",
    "/user-with-external-data/{email}",
    ready=seeded_user("/user-with-external-data/"),
)
async def user_and_document(
    email: str, database: DatabaseDep, upstream: UpstreamDep
) -> dict[str, Any]:
    """Looks the user up, then calls the service."""
    person = found(await database.find(email), email)
    return {"user": person, "document": await upstream.fetch(upstream.shared, PATHS[0])}
