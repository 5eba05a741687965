"""JSON for programs, under `/api/`, and what monitors read."""

from starlette.routing import BaseRoute


def api_routes() -> list[BaseRoute]:
    """Return the routes under `/api/`, and import them: the start and monitors need none."""
    from control_plane.api import dashboard, experiments_and_trends, runs

    in_order = (
        runs.router, runs.pinned, runs.repeats, runs.comparisons, runs.peers,
        experiments_and_trends.trends, experiments_and_trends.router, dashboard.targets,
        dashboard.access,
    )  # fmt: skip
    return [route for router in in_order for route in router.routes]
