"""HTML for people: a package for each page, above what pages share, and the routes of all."""

from control_plane.pages import (
    experiment_pages,
    exports,
    history,
    home,
    import_page,
    peer_compare,
    peer_pages,
    report,
    run_changes,
    sharing,
    trend_pages,
)
from control_plane.pages.compare.routes import router as compare
from control_plane.pages.new_run.routes import router as new_run
from control_plane.pages.run import live
from control_plane.pages.run.routes import router as run
from control_plane.pages.site.login_page import router as login
from control_plane.pages.site.routes import router as site
from control_plane.pages.targets.routes import router as targets

_ROUTERS = (
    home.router,
    new_run,
    report.router,
    exports.router,
    experiment_pages.router,
    history.router,
    run_changes.router,
    targets,
    site,
    login,
    import_page.router,
    peer_compare.router,
    peer_pages.router,
    sharing.router,
    trend_pages.router,
    compare,
    live.router,
    run,
)
PAGE_ROUTES = tuple(route for router in _ROUTERS for route in router.routes)
