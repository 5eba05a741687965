"""A server that needs a file: `files` of its application, with host and port."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from control_plane.applications_file import read_applications
from control_plane.domain.errors import SettingsError
from control_plane.targets.application import command_target
from control_plane.targets.http_get_and_delayed_ack import get
from control_plane.targets.launch import LaunchContext, start_application
from tests.builders.own import BARE

NGINX = """
daemon off;
worker_processes 1;
pid {scratch}/nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path {scratch}/body;
  proxy_temp_path {scratch}/proxy;
  fastcgi_temp_path {scratch}/fastcgi;
  uwsgi_temp_path {scratch}/uwsgi;
  scgi_temp_path {scratch}/scgi;
  server { listen {host}:{port}; location / { return 200 "ok"; } }
}
"""
GUNICORN = "bind = '{host}:{port}'\nworker_class = 'asgi'\npidfile = '{scratch}/pid'\n"


def written(folder: Path, command: str, name: str, text: str) -> Path:
    """The settings of an application `x` with one file."""
    (folder / "bare.py").write_text(BARE)
    lines = [f"[applications.x]\ncommand = {json.dumps(command)}\n", "[applications.x.files]\n"]
    settings = folder / "looplab.toml"
    settings.write_text("".join([*lines, f"{json.dumps(name)} = {json.dumps(text)}\n"]))
    return settings


@pytest.mark.parametrize(
    ("command", "name", "text"),
    [
        pytest.param(
            "nginx -c {nginx.conf} -p {scratch}", "nginx.conf", NGINX,
            marks=pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed"),
        ),
        (f"{sys.executable} -m gunicorn -c {{conf.py}} bare:app", "conf.py", GUNICORN),
    ],
)  # fmt: skip
async def test_a_server_is_told_by_a_file_where_to_listen(
    tmp_path: Path, command: str, name: str, text: str
) -> None:
    application = read_applications(written(tmp_path, command, name, text))["x"]
    context = LaunchContext("files", None, tmp_path / "state")
    target = await start_application(application, command_target("x"), context)
    try:
        (file,) = (tmp_path / "state").rglob(name)
        assert file.stat().st_mode & 0o777 == 0o600
        assert (await get(target.url, "/", target.host_header)).body == b"ok"
        assert f"{{{name}}}" in target.command
    finally:
        await target.stop()
    assert not file.exists()


@pytest.mark.parametrize(
    ("command", "name", "text", "words"),
    [
        ("serve {x.conf}", "x.conf", "on {host}", "command .*write {port} where the server"),
        ("serve {host} {port}", "../x", "", "name a file without a folder"),
        ("serve {host} {port}", "port", "", "name a file without a folder"),
    ],
)
def test_a_wrong_file_is_told(
    tmp_path: Path, command: str, name: str, text: str, words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        read_applications(written(tmp_path, command, name, text))
