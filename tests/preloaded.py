"""What the process imports from which the tests fork: all of the product, its templates as well.

It has served some pages, so that nobody after it prepares statements and routes a first time; no
thread and no event loop of that is left. It looks for no garbage among what it made.
"""

import gc
import tempfile
import threading
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import control_plane
from control_plane.pages.site.templating import environment
from control_plane.settings import Settings
from tests.in_process import in_process

NOT_IMPORTED = ("__main__", ".inside.")
"""Parts of the names of modules that are programs, or run in the interpreter of a target."""


def import_everything() -> None:
    for module in walk_packages(control_plane.__path__, f"{control_plane.__name__}."):
        if not any(part in f"{module.name}." for part in NOT_IMPORTED):
            import_module(module.name)
    for name in (
        "alembic.migration",
        "uvicorn.lifespan.on",
        "tests.load.workers",
        "tests.store.killed",
    ):
        import_module(name)


def compile_templates() -> None:
    settings = Settings()
    templates = environment(settings.templates_dir, settings.static_dir)
    for name in templates.list_templates():
        templates.get_template(name)


def serve_once() -> None:
    with tempfile.TemporaryDirectory() as folder, in_process(Path(folder)) as looplab:
        for path in ("/", "/history", "/runs/new", "/api/runs"):
            assert looplab.get(path).is_success
    assert threading.active_count() == 1, threading.enumerate()


import_everything()
compile_templates()
serve_once()
gc.collect()
gc.freeze()
