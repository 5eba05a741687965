"""FastAPI's own pages /docs and /redoc, with what they load from this machine instead of a CDN."""

from pathlib import Path

from fastapi import HTTPException, Request, Response
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.responses import FileResponse
from starlette.routing import BaseRoute, Route

VENDOR = Path(__file__).parent / "vendor"
VENDOR_FILES = {"swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js"}
TITLE = "Looplab's target"
SCHEMA = "openapi.json"
NO_ICON = "data:,"


async def swagger(_request: Request) -> Response:
    """Serve Swagger UI. Its addresses are relative, so that a mounted application has them, too."""
    return get_swagger_ui_html(
        openapi_url=SCHEMA,
        title=TITLE,
        swagger_js_url="docs/swagger-ui-bundle.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url=NO_ICON,
        swagger_ui_parameters={"validatorUrl": None},
    )


async def redoc(_request: Request) -> Response:
    """Serve ReDoc."""
    return get_redoc_html(
        openapi_url=SCHEMA,
        title=TITLE,
        redoc_js_url="docs/redoc.standalone.js",
        redoc_favicon_url=NO_ICON,
        with_google_fonts=False,
    )


async def vendor_file(request: Request) -> Response:
    """Serve a script or style sheet that the pages load; 404 for any other name."""
    name = request.path_params["name"]
    if name not in VENDOR_FILES:
        raise HTTPException(404, f"There is no file {name[:40]} here.")
    return FileResponse(VENDOR / name)


ROUTES: tuple[BaseRoute, ...] = (
    Route("/docs", swagger, include_in_schema=False),
    Route("/redoc", redoc, include_in_schema=False),
    Route("/docs/{name}", vendor_file, include_in_schema=False),
)
