"""GET /glossary."""

from fastapi import APIRouter, Request, Response

from control_plane.pages.site.glossary import GlossaryPage, groups
from control_plane.pages.site.templating import page

router = APIRouter()


@router.get("/glossary")
def glossary(request: Request) -> Response:
    return page(request, GlossaryPage(groups()))
