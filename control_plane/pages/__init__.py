"""HTML for people: a package for each page, above what pages share, and the routes of all."""

from control_plane.pages import (
    compare,
    experiment_pages,
    exports,
    history,
    home,
    import_page,
    new_run,
    peer_compare,
    peer_pages,
    report,
    run,
    sharing,
    targets,
    trend_pages,
)
from control_plane.pages.run import live
from control_plane.pages.site import routes as site

_ROUTERS = (
    home.router,
    new_run.router,
    report.router,
    exports.router,
    experiment_pages.router,
    history.router,
    targets.router,
    site.router,
    import_page.router,
    peer_compare.router,
    peer_pages.router,
    trend_pages.router,
    sharing.router,
    compare.router,
    live.router,
    run.router,
)
PAGE_ROUTES = tuple(route for router in _ROUTERS for route in router.routes)
