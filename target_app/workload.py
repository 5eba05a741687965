"""A router that describes itself: the catalogue of the workloads is the OpenAPI document."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fastapi import APIRouter
from fastapi.routing import APIRoute

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class Workload(APIRouter):
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
        aliases: Sequence[str] = (),
        values: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
        **options: Any,
    ) -> Callable[[Endpoint], Endpoint]:
        """Register an endpoint; further options are those of FastAPI's `add_api_route`.

        `values` and `body` complete the ready request class, a JSON object with the keys that
        the dashboard's form takes. Aliases answer alike and are listed beside it.
        """
        request = {"method": method, "path": path, "values": values or {}, "body": body}
        ready = {"request": request, "aliases": list(aliases)}

        def register(endpoint: Endpoint) -> Endpoint:
            self.add_api_route(
                path, endpoint, methods=[method], openapi_extra={"x-looplab": ready}, **options
            )
            for alias in aliases:
                self.add_api_route(
                    alias, endpoint, methods=[method], include_in_schema=False, **options
                )
            return endpoint

        return register

    def answers(self, path: str) -> bool:
        """Whether any method of any endpoint has this path; placeholders may stand in it."""
        return any(isinstance(one, APIRoute) and one.path_regex.match(path) for one in self.routes)
