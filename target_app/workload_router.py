"""A router that describes itself: the catalogue of the workloads is the OpenAPI document."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from fastapi import APIRouter
from fastapi.routing import APIRoute

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


@dataclass(frozen=True)
class Ready:
    """What completes a ready request class, a JSON object as the dashboard's form takes it.

    `values` makes what the placeholders of the path and the body stand for. `path` is given where
    the endpoint's own would not do.
    """

    values: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] | None = None
    path: str | None = None


class WorkloadRouter(APIRouter):
    """Endpoints that belong together. `opens` names the resources that they need open."""

    def __init__(
        self,
        name: str,
        about: str,
        *,
        opens: Sequence[str] = (),
        route_class: type[APIRoute] = APIRoute,
    ) -> None:
        super().__init__(tags=[name], route_class=route_class)
        self.tag = {"name": name, "description": about}
        self.opens = frozenset(opens)

    def serve(
        self,
        method: str,
        path: str,
        *,
        ready: Ready = Ready(),
        aliases: Sequence[str] = (),
        **options: Any,
    ) -> Callable[[Endpoint], Endpoint]:
        """Register an endpoint; further options are those of FastAPI's `add_api_route`.

        Aliases answer alike and are listed beside the ready request class.
        """
        request = asdict(ready) | {"method": method, "path": ready.path or path}
        extra = {"x-looplab": {"request": request, "aliases": list(aliases)}}

        def register(endpoint: Endpoint) -> Endpoint:
            self.add_api_route(path, endpoint, methods=[method], openapi_extra=extra, **options)
            for alias in aliases:
                self.add_api_route(
                    alias, endpoint, methods=[method], include_in_schema=False, **options
                )
            return endpoint

        return register

    def answers(self, path: str) -> bool:
        """Return whether any method of any endpoint has this path; placeholders may stand in it."""
        return any(
            isinstance(route, APIRoute) and route.path_regex.match(path) for route in self.routes
        )
