"""A dashboard in the process of the tests: the whole application, reached without a socket."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from fastapi.testclient import TestClient

from control_plane.access.login import Login
from control_plane.app import create_app
from control_plane.applications_file import ApplicationsFile
from control_plane.domain.limits import Limits
from control_plane.jobs import recover
from control_plane.settings import Settings
from control_plane.store.store import open_store
from tests.dashboard import Dashboard, provide_database

ADDRESS = "127.0.0.1:8200"
TOKEN = "a token of the tests"


@contextlib.contextmanager
def in_process(
    folder: Path, config: Path | None = None, limits: Limits | None = None
) -> Iterator[Dashboard]:
    """Serve the database `runs.db` of the folder, with a queue that works.

    `config` is the file of own applications; without one there are none. A login is asked for, and
    given, where targets elsewhere are allowed.
    """
    db = provide_database(folder / "runs.db")
    settings = Settings(
        db=db,
        limits=limits or Limits(),
        applications=ApplicationsFile(config) if config else {},
    )
    store = open_store(db)
    login = Login(TOKEN, {}, settings.port) if settings.limits.allowed_targets else None
    try:
        runtime = recover(store, {settings.port}, "normal", settings.applications)
        with TestClient(
            create_app(settings, store, runtime, login),
            base_url=f"http://{ADDRESS}",
            headers={"Authorization": f"Bearer {TOKEN}"} if login else None,
            raise_server_exceptions=False,
            backend_options={"use_uvloop": True},
        ) as client:
            yield Dashboard(client, str(client.base_url), db)
    finally:
        store.close()
