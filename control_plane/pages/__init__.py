"""HTML for people: a package for each page, above what pages share, and the routes of all."""

from starlette.routing import BaseRoute


def page_routes() -> list[BaseRoute]:
    """Return the routes of all pages, and import them: a third of what a start would take."""
    from control_plane.pages import (
        compare,
        experiment_pages,
        exports,
        history,
        home,
        import_and_repeat,
        new_run,
        report,
        run,
        sharing,
        targets,
        tool_compare,
        tool_result_pages,
        trend_pages,
    )
    from control_plane.pages.run import live
    from control_plane.pages.site import routes as site

    in_order = (
        home, new_run, report, exports, experiment_pages, history, targets, site, import_and_repeat,
        tool_compare, tool_result_pages, trend_pages, sharing, compare, live, run,
    )  # fmt: skip
    return [route for module in in_order for route in module.router.routes]
