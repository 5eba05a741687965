"""Servers behind TLS, on unix sockets, of IPv6 and of HTTP/2: measured, or told in one line."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import AF_INET6
from typing import Any

import pytest

from control_plane.applications_file import read_applications
from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.errors import InvalidInput, SettingsError, TargetFailed
from control_plane.domain.limits import Limits
from control_plane.domain.spec_json import read_spec
from control_plane.targets.application import Application, command_target
from control_plane.targets.launch import LaunchContext, reach, start_application
from tests.cases.command_line import CASES, short_spec
from tests.cases.serving import serving
from tests.dashboard import Dashboard
from tests.in_process import in_process
from tests.pages.stored import words

LISTENING = """
import socket, sys, time
host, port, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if kind == "unix":
    server = socket.socket(socket.AF_UNIX)
    server.bind("only.sock")
    server.listen()
elif kind == "six":
    server = socket.create_server(("::1", port), family=socket.AF_INET6)
else:
    server = socket.create_server((host, port))
print(port or server.getsockname()[1], flush=True)
SETTINGS, GOAWAY = b"\\0\\0\\0\\4\\0\\0\\0\\0\\0", b"\\0\\0\\x08\\7" + bytes(5) + bytes(8)
while kind in {"unix", "six"}:
    time.sleep(1)
while True:
    connection, _ = server.accept()
    data = connection.recv(1_000)
    if data.startswith(b"PRI") or kind == "settings":
        connection.sendall(SETTINGS + GOAWAY)
    elif kind == "half":
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 9\\r\\n\\r\\nhalf")
    connection.close()
"""


ALONE = pytest.raises(TargetFailed, match="speaks HTTP/2 alone")


class Redirecting(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200 if self.path.endswith("/") else 307)
        self.send_header("Location", f"{self.path}/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


class OfVersionSix(ThreadingHTTPServer):
    address_family = AF_INET6
    daemon_threads = True


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard with the application of R15, which serves by TLS."""
    folder = tmp_path_factory.mktemp("tls") / "R15"
    shutil.copytree(CASES / "R15", folder)
    subject = ["-days", "2", "-subj", "/CN=localhost", "-keyout", "k.pem", "-out", "c.pem"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject]
    subprocess.run(made, cwd=folder, check=True, capture_output=True)
    settings = folder / "looplab.toml"
    text = settings.read_text().replace('"python -m', f'"{sys.executable} -m')
    settings.write_text(text.replace('python = "python3"', ""))
    with in_process(folder, settings) as looplab:
        yield looplab


@pytest.fixture(scope="module")
def tls(looplab: Dashboard) -> Iterator[str]:
    """The address of the application, which runs already."""
    options = ("--ssl-keyfile", "k.pem", "--ssl-certfile", "c.pem")
    with serving(looplab.db.parent, *options) as url:
        yield url


@pytest.fixture(scope="module")
def six() -> Iterator[str]:
    """The address of a server that listens on ::1 alone."""
    try:
        server = OfVersionSix(("::1", 0), Redirecting)
    except OSError:
        pytest.skip("this machine has no ::1")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://[::1]:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def measured(looplab: Dashboard, strategy: str, target: Any, *paths: str) -> dict[str, Any]:
    spec = {**short_spec("tls", paths, strategy), "target": target}
    stream = spec["workload"]["streams"][0]
    stream["load"]["concurrency"], stream["stop"]["requests"] = 1, 20
    return looplab.finished(looplab.submit(spec))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_tls_is_measured_and_said_to_be_unverified(
    looplab: Dashboard, strategy: str, tls: str
) -> None:
    """Of a command, which one strategy has started, and of a URL."""
    command = {"application": "tls", "server": "command"}
    run = measured(looplab, strategy, command if strategy == "raw" else {"url": tls}, "/")
    assert run["streams"][0]["completed"] == 20
    assert run["trials"][0]["target"]["address"].startswith("https://")
    if strategy == "raw":
        assert "TLS, certificate not verified" in words(looplab.get(f"/runs/{run['id']}").text)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_url_of_version_six_is_measured_and_its_redirects_are_told(
    looplab: Dashboard, strategy: str, six: str
) -> None:
    run = measured(looplab, strategy, {"url": six}, "/items", "/items/")
    (failed,) = run["failures"]
    assert failed["line"] == "GET /items: 307, redirect to /items/"
    assert run["trials"][0]["target"]["address"] == six
    (stream,) = run["streams"]
    assert stream["completed"] + stream["errors"]["redirect"] == 20
    assert stream["completed"] > 0


async def failed_start(folder: Path, kind: str, timeout_s: float) -> str:
    (folder / "listening.py").write_text(LISTENING)
    words = (sys.executable, "listening.py", "{host}", "{port}", kind)
    listening = Application("", folder, name="x", command=words, start_timeout_s=timeout_s)
    with pytest.raises(TargetFailed) as failed:
        await start_application(
            listening, command_target("x"), LaunchContext("addresses", None, folder)
        )
    return str(failed.value)


@pytest.mark.parametrize(
    ("kind", "timeout_s", "said"),
    [
        ("unix", 1, "it listens on unix socket only.sock"),
        ("six", 1, "it listens on [::1]:"),
        ("settings", 60, "start: target speaks HTTP/2 alone"),
        ("preface", 1, "no answer to GET /, target speaks HTTP/2 alone"),
    ],
)
async def test_what_a_command_serves_instead_is_told(
    tmp_path: Path, kind: str, timeout_s: float, said: str
) -> None:
    assert said in await failed_start(tmp_path, kind, timeout_s)


@pytest.mark.parametrize("kind", ["settings", "preface", "half"])
async def test_a_url_that_speaks_http_2_alone_is_told(kind: str) -> None:
    """But not one that speaks both, and breaks off its answer."""
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENING, "127.0.0.1", "0", kind], stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            target = await reach(f"http://127.0.0.1:{process.stdout.readline().strip()}", ())
            with nullcontext() if kind == "half" else ALONE:
                await target.check("/")
        finally:
            process.kill()


async def test_a_url_of_the_wrong_scheme_is_told(six: str) -> None:
    target = await reach(six.replace("http:", "https:"), ())
    with pytest.raises(TargetFailed, match=r"speaks no TLS: give http://"):
        await target.check("/")
    await (await reach(six, ())).check("/")
    with pytest.raises(
        TargetFailed, match=r"Nothing listens at .*, but at http://\[::1\]:\d+: give"
    ):
        await reach(six.replace("[::1]", "127.0.0.1"), ())


@pytest.mark.parametrize("url", ["unix:///run/x.sock", "http+unix://%2Frun", "/run/x.sock"])
def test_a_unix_socket_is_refused_at_its_field(url: str) -> None:
    spec = {**short_spec("x", ["/"]), "target": {"url": url}}
    with pytest.raises(InvalidInput) as refused:
        read_spec(spec, Limits())
    assert [field.field for field in refused.value.fields] == ["target.url"]
    assert "Unix sockets cannot be measured" in str(refused.value)


@pytest.mark.parametrize("option", ["--uds x.sock", "--bind unix:x", "-b unix:/run/x.sock"])
def test_a_unix_socket_of_a_command_is_refused(tmp_path: Path, option: str) -> None:
    (tmp_path / "looplab.toml").write_text(
        f"[applications.x]\ncommand = {json.dumps(f'serve {option}')}\n"
    )
    with pytest.raises(SettingsError, match="unix sockets cannot be measured"):
        read_applications(tmp_path / "looplab.toml")
