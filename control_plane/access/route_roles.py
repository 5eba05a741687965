"""Who may use which route: exactly one of three roles, and what is not listed is not served.

public: anyone who reaches the port. viewer: reads. operator: starts, changes and ends work.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Literal

from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, compile_path

from control_plane.domain.request import SAFE_METHODS

AccessRole = Literal["public", "viewer", "operator"]

ROUTES: dict[AccessRole, tuple[str, ...]] = {
    "public": (
        "GET /healthz",
        "GET /login",
        "GET /login/{code}",
        "GET /metrics",
        "GET /shared/{token}",
        "GET /shared/{token}/comment.md",
        "GET /shared/{token}/figures/{name}.csv",
        "GET /shared/{token}/numbers.csv",
        "GET /shared/{token}/numbers.json",
        "GET /shared/{token}/picture.png",
        "GET /shared/{token}/recipe.looplab",
        "GET /shared/{token}/report.html",
        "GET /shared/{token}/table.tsv",
        "GET /static",
        "POST /login",
        "POST /logout",
    ),
    "viewer": (
        "GET /",
        "GET /api/applications",
        "GET /api/audit",
        "GET /api/ceilings",
        "GET /api/compare",
        "GET /api/configurations",
        "GET /api/experiments",
        "GET /api/experiments/runs",
        "GET /api/experiments/runs/{experiment_id}",
        "GET /api/experiments/runs/{experiment_id}/confirm",
        "GET /api/noise-floor",
        "GET /api/pins",
        "GET /api/peers",
        "GET /api/peers/compare",
        "GET /api/peers/{peer_id}",
        "GET /api/runs",
        "GET /api/runs/{run_id}",
        "GET /api/runs/{run_id}/gauges",
        "GET /api/trends",
        "GET /api/trends/{spec}",
        "GET /audit",
        "GET /bundle",
        "GET /ceilings",
        "GET /compare",
        "GET /compare.csv",
        "GET /compare.html",
        "GET /compare.json",
        "GET /compare.md",
        "GET /compare.tsv",
        "GET /compare/figures/{name}.csv",
        "GET /compare/live",
        "GET /components",
        "GET /docs",
        "GET /experiments",
        "GET /experiments/{experiment_id}",
        "GET /experiments/{experiment_id}.csv",
        "GET /experiments/{experiment_id}.html",
        "GET /experiments/{experiment_id}.md",
        "GET /experiments/{experiment_id}.tsv",
        "GET /experiments/{experiment_id}/live",
        "GET /experiments/{experiment_id}/percentiles",
        "GET /glossary",
        "GET /not-starting",
        "GET /history",
        "GET /history/delete",
        "GET /history/chosen",
        "GET /history/keep",
        "GET /history/without/{name}",
        "GET /import",
        "GET /new",
        "GET /openapi.json",
        "GET /peers",
        "GET /peers/compare",
        "GET /peers/compare.csv",
        "GET /peers/compare.html",
        "GET /peers/compare.md",
        "GET /peers/compare/figures/percentiles.csv",
        "GET /peers/{peer_id}",
        "GET /peers/{peer_id}.html",
        "GET /peers/{peer_id}.md",
        "GET /peers/{peer_id}/figures/{name}.csv",
        "GET /queue",
        "GET /repeat/{subject}",
        "GET /running",
        "GET /runs",
        "GET /runs/new",
        "GET /runs/{run_id}",
        "GET /runs/{run_id}.csv",
        "GET /runs/{run_id}.html",
        "GET /runs/{run_id}.json",
        "GET /runs/{run_id}.md",
        "GET /runs/{run_id}.tsv",
        "GET /runs/{run_id}/figures/{name}.csv",
        "GET /runs/{run_id}/live",
        "GET /shares",
        "GET /shares/new",
        "GET /targets",
        "GET /targets/by-hand",
        "GET /targets/new",
        "GET /targets/remove",
        "GET /targets/applications/{name}",
        "GET /targets/applications/{name}/checkup",
        "GET /trends",
        "GET /trends/{spec}",
        "GET /trends/{spec}.csv",
        "GET /trends/{spec}.html",
        "GET /trends/{spec}.looplab",
        "GET /trends/{spec}.md",
        "GET /trends/{spec}.tsv",
        "GET /trends/{spec}/figures/{name}.csv",
        "GET /workloads",
    ),
    "operator": (
        "DELETE /api/pins/{subject_id}",
        "DELETE /api/peers/{peer_id}",
        "DELETE /api/runs/{run_id}",
        "PATCH /api/runs/{run_id}",
        "POST /api/login-addresses",
        "POST /api/experiments",
        "POST /api/experiments/runs/{experiment_id}/cancel",
        "POST /api/experiments/runs/{experiment_id}/confirm",
        "POST /api/experiments/runs/{experiment_id}/pause",
        "POST /api/experiments/runs/{experiment_id}/resume",
        "POST /api/experiments/{slug}/start",
        "POST /api/import",
        "POST /api/pins",
        "POST /api/repeats/{subject}",
        "POST /api/runs",
        "POST /api/runs/{run_id}/cancel",
        "POST /api/runs/{run_id}/restore",
        "POST /api/trends/{spec}/steps",
        "POST /api/trends/{spec}/told",
        "POST /ceilings",
        "POST /experiments/noise-floor",
        "POST /experiments/of-runs",
        "POST /experiments/{experiment_id}/again",
        "POST /experiments/{experiment_id}/cancel",
        "POST /experiments/{experiment_id}/confirm",
        "POST /experiments/{experiment_id}/pause",
        "POST /experiments/{experiment_id}/resume",
        "POST /experiments/{slug}/start",
        "POST /import",
        "POST /pins",
        "POST /pins/remove",
        "POST /peers/{peer_id}/delete",
        "POST /peers/{peer_id}/edit",
        "POST /repeat/{subject}",
        "POST /runs",
        "POST /runs/delete",
        "POST /runs/restore",
        "POST /runs/new",
        "POST /runs/new/offer",
        "POST /runs/new/pasted",
        "POST /runs/new/picked",
        "POST /runs/new/plan",
        "POST /runs/spec",
        "POST /runs/tag",
        "POST /runs/{run_id}/again",
        "POST /runs/{run_id}/cancel",
        "POST /runs/{run_id}/edit",
        "POST /shares",
        "POST /shares/{link_id}/revoke",
        "POST /trends/{spec}/steps",
        "POST /targets/new",
        "POST /targets/remove",
        "POST /targets/start",
        "POST /targets/stop",
        "POST /targets/applications/{name}/checkup",
        "POST /targets/applications/{name}/start",
    ),
}


_PUBLIC = frozenset("/".join(route.split("/")[:2]) for route in ROUTES["public"])


def needed_role(method: str, path: str) -> AccessRole:
    """Return the role that a request asks for, whether there is such a route or not.

    The first part of the path tells what is public; the method, what changes something.
    """
    first_part = "/".join(path.split("/")[:2])
    if f"{'GET' if method == 'HEAD' else method} {first_part}" in _PUBLIC:
        return "public"
    return "viewer" if method in SAFE_METHODS else "operator"


def role_of(route: str) -> AccessRole | None:
    """Return the role that `GET /path/{of_the_route}` asks for; None: nobody may use it."""
    roles = [role for role, routes in ROUTES.items() if route in routes]
    return roles[0] if len(roles) == 1 else None


@lru_cache(maxsize=512)
def methods_at(path: str) -> tuple[str, ...]:
    """Return the methods that an address takes, HEAD and OPTIONS among them; () for none."""
    found = {
        method
        for routes in ROUTES.values()
        for method, pattern in (route.split() for route in routes)
        if _pattern(pattern).match(path)
    }
    read = {"HEAD"} if "GET" in found else set()
    return tuple(sorted({*found, *read, "OPTIONS"})) if found else ()


@cache
def _pattern(path: str) -> re.Pattern[str]:
    """Return what the addresses of a route match; what is mounted has others below it."""
    return re.compile(r"/static(/.*)?$") if path == "/static" else compile_path(path)[0]


def refuse_unlisted(routes: Iterable[BaseRoute]) -> None:
    """Raise LookupError for routes without exactly one role, or for which another is asked."""
    forgotten = [
        route for route in route_names(routes) if role_of(route) != needed_role(*route.split())
    ]
    if forgotten:
        raise LookupError(f"No role in access/route_roles.py for: {', '.join(forgotten)}.")


def route_names(routes: Iterable[BaseRoute]) -> Iterator[str]:
    """Yield each route as `METHOD path`; mounts and HEAD are GET."""
    for route in iter_route_contexts(list(routes)):
        methods = getattr(route, "methods", None) or {"GET"}
        for method in sorted(methods - {"HEAD"}):
            yield f"{method} {getattr(route, 'path', None)}"
