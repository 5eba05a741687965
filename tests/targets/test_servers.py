"""The table of servers, and the places that read it."""

import pytest

from control_plane.domain.server_command_lines import (
    APPLICATION_SERVERS,
    SERVERS,
    lacking,
    package_of,
    server_options,
)
from control_plane.targets.configurations import CATALOGUE
from control_plane.targets.cores_and_run_environment import PACKAGES
from control_plane.targets.inside.looplab_probe.hooks import HOOKS


def test_every_server_has_its_hook_in_the_probe() -> None:
    with_loop = {name for name, server in APPLICATION_SERVERS.items() if not server.wsgi}
    assert {name.partition(".")[0] for name in HOOKS} == with_loop


def test_every_server_comes_with_configurations_and_stored_versions() -> None:
    assert {known.target.server for known in CATALOGUE} == set(APPLICATION_SERVERS)
    assert set(APPLICATION_SERVERS) <= set(PACKAGES)


def test_a_kind_of_worker_lacks_what_its_server_lacks_and_more() -> None:
    assert lacking("gunicorn", "asgi") == ("http",)
    assert lacking("gunicorn", "uvicorn_worker") == ()
    assert lacking("uvicorn", "asgi") == SERVERS["uvicorn"].lacks
    assert lacking("caddy", None) == ()


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("granian", "granian"),
        ("uvicorn_worker", "uvicorn-worker"),
        ("asgi", None),
        ("responder", None),
        ("shop", None),
    ],
)
def test_a_module_is_brought_by_a_package(module: str, package: str | None) -> None:
    assert package_of(module) == package


def test_each_kind_of_worker_is_an_option_of_its_own() -> None:
    assert server_options() == {
        "uvicorn": "uvicorn",
        "gunicorn uvicorn_worker": "gunicorn, uvicorn_worker",
        "gunicorn asgi": "gunicorn, asgi",
        "gunicorn gthread": "gunicorn, gthread",
        "gunicorn sync": "gunicorn, sync",
        "hypercorn": "hypercorn",
        "granian": "granian",
        "waitress": "waitress",
    }
