"""JSON for programs, under `/api/`, and what monitors read."""

from control_plane.api import experiments, monitoring, runs, targets

_ROUTERS = (
    runs.router,
    runs.pinned,
    runs.repeats,
    runs.comparisons,
    runs.peers,
    runs.trends,
    experiments.router,
    targets.router,
    monitoring.access,
    monitoring.router,
)
API_ROUTES = tuple(route for router in _ROUTERS for route in router.routes)
