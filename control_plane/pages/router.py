"""All pages in one router."""

from fastapi import APIRouter

from control_plane.pages import history, home
from control_plane.pages.compare.routes import router as compare
from control_plane.pages.exports.routes import router as exports
from control_plane.pages.new_run import openapi_routes
from control_plane.pages.new_run.routes import router as new_run
from control_plane.pages.run import live
from control_plane.pages.run.routes import router as run
from control_plane.pages.site import docs, glossary_routes, queue
from control_plane.pages.targets import (
    applications,
    ceilings,
    configuration_list,
    configurations,
    manual_targets,
    workloads,
)

router = APIRouter(include_in_schema=False)
for page in (
    home.router,
    new_run,
    openapi_routes.router,
    history.router,
    configuration_list.router,
    configurations.router,
    manual_targets.router,
    applications.router,
    workloads.router,
    ceilings.router,
    docs.router,
    queue.router,
    glossary_routes.router,
    exports,
    compare,
    live.router,
    run,
):
    router.include_router(page)
