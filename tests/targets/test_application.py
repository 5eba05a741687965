"""Applications of the settings: which fit a target, and how they are started."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from control_plane.applications_file import read_applications
from control_plane.domain.errors import TargetFailed
from control_plane.domain.spec import Target
from control_plane.targets.application import (
    Application,
    Applications,
    application_errors,
    interface_in_source,
    resolve_application,
)
from control_plane.targets.launch import shown_command, start_application
from tests.builders import own
from tests.targets.site import Site, get_json

SHOP = Target(application="shop", loop="asyncio")
PLAIN = Target(
    "plain", "command", workers=None, loop=None, http=None, threads=None, reload=None,
    access_log=None, keep_alive_s=None, backlog=None,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("shop")
    own.project(made)
    return made


@pytest.fixture
def applications(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Applications:
    monkeypatch.setenv("SHOP_KEY", "hunter2-long")
    return read_applications(folder / "looplab.toml")


def test_an_unknown_application_is_refused_naming_those_there_are(
    applications: Applications,
) -> None:
    (error,) = application_errors(Target(application="../shop"), applications)
    assert error.field == "target.application"
    assert "There are: bundled, plain, shop." in error.message
    with pytest.raises(TargetFailed, match="no application 'gone'"):
        resolve_application(Target(application="gone"), applications)


def test_the_server_is_how_the_application_is_started(applications: Applications) -> None:
    fitting = [Target(), SHOP, PLAIN]
    assert [list(application_errors(target, applications)) for target in fitting] == [[], [], []]
    wrong = [
        replace(PLAIN, application="bundled"),
        replace(PLAIN, application="shop"),
        replace(SHOP, application="plain"),
    ]
    found = [
        [error.field for error in application_errors(target, applications)] for target in wrong
    ]
    assert found == [["target.server"]] * 3


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ("uvicorn", "-m uvicorn shop:make --factory --host"),
        ("granian", "-m granian shop:make --factory --interface asgi"),
        ("gunicorn", "-m gunicorn 'shop:make()' --bind"),
        ("hypercorn", "-m hypercorn 'shop:make()' --bind"),
    ],
)
def test_each_server_is_told_of_a_factory(server, words: str) -> None:
    shop = Application(
        "shop:make", Path("/srv"), name="shop", factory=True, python=Path("/srv/env/bin/python")
    )
    target = replace(SHOP, server=server, worker="asgi" if server == "gunicorn" else None)
    shown = shown_command(target, application=shop)
    assert shown.startswith("/srv/env/bin/python ")
    assert words in shown


async def test_it_runs_in_its_own_environment_with_the_variables_of_its_list(
    site: Site, folder: Path, applications: Applications, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_KEY", "not for targets")
    target = await start_application(applications["shop"], SHOP, site.context())
    try:
        assert get_json(target.url, "/prefix") == str(folder / "env")
        seen = get_json(target.url, "/seen")
        running = Path(f"/proc/{target.pid}/cmdline").read_bytes().split(b"\0")[:-1]
    finally:
        await target.stop()
    assert (seen["SHOP_KEY"], seen["SHOP_MODE"]) == ("hunter2-long", "fast")
    assert seen["VIRTUAL_ENV"] == str(folder / "env")
    assert seen["PATH"].startswith(str(folder / "env" / "bin"))
    assert "OTHER_KEY" not in seen
    assert not any(name.startswith("TARGET_") for name in seen)
    assert target.command == shlex.join(part.decode() for part in running)


async def test_a_command_is_started_and_ended_like_a_server(
    site: Site, applications: Applications
) -> None:
    target = await start_application(applications["plain"], PLAIN, site.context(cores=(0,)))
    command = f"python server.py {target.host} {target.port}"
    assert (target.command, len(target.pids())) == (command, 1)
    assert target.ended_workers().all == 0
    await target.stop()
    site.assert_gone()


async def test_secrets_stand_in_no_log_line(site: Site, folder: Path) -> None:
    (folder / "loud.py").write_text("import os\nraise SystemExit(os.environ['KEY'])\n")
    (folder / "loud.env").write_text("KEY='swordfish-${HOME}'\n")
    loud = Application("loud:app", folder, name="loud", env_file=folder / "loud.env")
    with pytest.raises(TargetFailed) as failed:
        await start_application(loud, replace(SHOP, application="loud"), site.context())
    assert any("[KEY]" in line for line in failed.value.log)
    assert not any("swordfish" in line for line in failed.value.log)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"directory": Path("/nowhere")}, "directory /nowhere is not there"),
        ({"python": Path("/nowhere/python")}, "python /nowhere/python is not there"),
        ({"python": Path("/tmp")}, "python /tmp is a folder"),
        ({"python": Path("/etc/passwd")}, "python /etc/passwd is not executable"),
        (
            {"command": ("./serve.sh", "{host}", "{port}")},
            r"command: there is no ./serve.sh in /\S+; its paths are relative to directory",
        ),
        (
            {"command": ("./shop.py", "{host}", "{port}")},
            r"command: /\S+/shop.py is not executable: chmod \+x it",
        ),
        ({"env_file": Path("/nowhere/env")}, "env_file /nowhere/env is not there"),
    ],
)
async def test_what_is_missing_is_told_before_anything_starts(
    site: Site, applications: Applications, changes: dict[str, Any], words: str
) -> None:
    lacking = replace(applications["shop"], **changes)
    with pytest.raises(TargetFailed, match=f"^start: {words}"):
        await start_application(lacking, SHOP, site.context())


FLASK = "from flask import Flask\n"


@pytest.mark.parametrize(
    ("app", "sources", "interface"),
    [
        ("shop:app", {"shop.py": FLASK + "app = Flask(__name__)"}, "wsgi"),
        ("shop:app", {"shop.py": "import fastapi as f, flask\nwith x: app = f.FastAPI()"}, "asgi"),
        ("shop:app", {"shop.py": FLASK + "from asgiref.wsgi import WsgiToAsgi\n"
                      "app = Flask('')\napp = WsgiToAsgi(app)"}, "asgi"),
        ("shop:app", {"shop.py": FLASK + "from a2wsgi import ASGIMiddleware\nimport starlette\n"
                      "app = ASGIMiddleware(1)"}, "wsgi"),
        ("site.wsgi:app", {"site/wsgi.py": "from django.core import asgi\n"
                           "app = asgi.get_asgi_application()"}, "asgi"),
        ("site.asgi:application", {"site/asgi.py": "import django, channels.routing as c\n"
                                   "application = c.ProtocolTypeRouter({})"}, "asgi"),
        ("shop.main:create", {"shop/main.py": "from .web.app import made\ndef create(): ...",
                              "shop/web/__init__.py": "", "shop/web/app.py": FLASK}, "wsgi"),
        ("shop:api", {"shop/__init__.py": "from .a import app as api\nimport starlette",
                      "shop/a.py": "import falcon\nmade = falcon.App()\napp = made"}, "wsgi"),
        ("shop:app", {"src/shop/__init__.py": FLASK + "app = Flask('')"}, "wsgi"),
        ("a:app", {"a.py": "import falcon.asgi\napp: object = falcon.asgi.App()"}, "asgi"),
        ("a:app", {"a.py": "from pyramid.config import Configurator as C\nimport starlette\n"
                   "app = C().make_wsgi_app()"}, "wsgi"),
        ("a:app", {"a.py": "async def app(scope, receive, send): ..."}, "asgi"),
        ("a:app", {"a.py": "import starlette\ndef app(environ, start_response): ..."}, "wsgi"),
        ("a:app", {"a.py": "from b import app\nimport c", "b.py": "from a import app"}, ""),
        ("a:app", {"a.py": "import starlette, flask\napp = make()"}, ""),
        ("a:app", {"a.py": "from aiohttp import web\napp = web.Application()"}, "own"),
        ("a:app", {"a.py": "import aiohttp\nfrom starlette.a import B\napp = B()"}, "asgi"),
        ("a:app", {"a.py": "this is no Python"}, ""),
        ("wsgi_app:app", {}, "wsgi"),
        ("..a:app", {}, ""),
    ],
)  # fmt: skip
def test_the_source_tells_the_interface(
    tmp_path: Path, app: str, sources: dict[str, str], interface: str
) -> None:
    for name, source in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    assert interface_in_source(Application(app, tmp_path)) == interface
