"""The description of the JSON API, drawn by the vendored Swagger UI."""

from dataclasses import dataclass
from typing import ClassVar

from fastapi import APIRouter, Request, Response

from control_plane.pages.site.templating import page
from control_plane.pages.site.view import View

router = APIRouter()


@dataclass(frozen=True)
class DocsPage(View):
    """`schema` is the address of the OpenAPI document."""

    template: ClassVar[str] = "pages/docs.html"
    schema: str


@router.get("/docs")
def docs(request: Request) -> Response:
    return page(request, DocsPage(schema="/openapi.json"))
