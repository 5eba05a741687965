"""Start an application under old versions of each server, in environments of their own.

`python -m scripts.old_servers [NAME]`: one line for each, of those whose name begins so. The
environments are kept in ~/.cache/looplab/old-servers; packages come from the configured index.
"""

import asyncio
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass, replace
from pathlib import Path

from control_plane.domain.errors import TargetFailed
from control_plane.domain.spec import Target
from control_plane.targets.application import Application
from control_plane.targets.configurations import find_configuration
from control_plane.targets.http_get_and_delayed_ack import get
from control_plane.targets.launch import LaunchContext, start_application

CACHE = Path.home() / ".cache" / "looplab" / "old-servers"
SOURCE = """
async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    length = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": b"ok"})

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


@dataclass(frozen=True)
class Version:
    """Packages of one environment, and the configuration that is started there."""

    packages: tuple[str, ...]
    configuration: str

    @property
    def name(self) -> str:
        """What its line and its folder are called."""
        return self.packages[0].replace("==", "-").rstrip(".*")


_UVICORN = "uvicorn, 1 worker, asyncio, h11"
_GUNICORN = "gunicorn"
_GTHREAD = "gunicorn, 1 worker, gthread, 4 threads"
VERSIONS = (
    *(Version((f"uvicorn=={minor}.*",), _UVICORN) for minor in ("0.20", "0.30", "0.54")),
    *(Version((f"gunicorn=={major}.*",), _GTHREAD) for major in ("20", "21", "22")),
    *(
        Version((f"gunicorn=={major}.*", "uvicorn", "uvicorn-worker"), _GUNICORN)
        for major in ("23", "25", "27")
    ),
    *(Version((f"hypercorn=={minor}.*",), "hypercorn") for minor in ("0.14", "0.17")),
    *(Version((f"granian=={minor}.*",), "granian") for minor in ("1.3", "1.6", "2.0")),
    *(Version((f"waitress=={major}.*",), "waitress") for major in ("2", "3")),
)


def main(prefix: str = "") -> int:
    """Try all whose name begins with `prefix`; return how many do not start."""
    failed = 0
    for version in VERSIONS:
        if version.name.startswith(prefix):
            fault = asyncio.run(_fault(version))
            failed += bool(fault)
            sys.stdout.write(f"{version.name}: {fault or 'starts and answers 200'}\n")
            sys.stdout.flush()
    return failed


async def _fault(version: Version) -> str:
    """Return why it does not work; empty where it does."""
    try:
        python = _environment(version)
        with tempfile.TemporaryDirectory() as folder:
            return await _started(version, python, Path(folder))
    except subprocess.CalledProcessError as error:
        return f"not installed: {error.stderr.decode().strip().splitlines()[-1]}"
    except TargetFailed as error:
        return f"{error}: {' | '.join(error.log[-2:])}"


async def _started(version: Version, python: Path, folder: Path) -> str:
    (folder / "old_servers_app.py").write_text(SOURCE)
    target = replace(_target(version.configuration), application="old")
    kind = "wsgi" if target.loop is None else "asgi"
    application = Application(f"old_servers_app:{kind}", folder, name="old", python=python)
    context = LaunchContext("old-servers", None, folder / "state")
    running = await start_application(application, target, context)
    try:
        status = (await get(running.url, "/", running.host_header)).status
    finally:
        await running.stop()
    return "" if status == 200 else f"answers {status}"


def _target(name: str) -> Target:
    """Return the configuration of a name; of the name of a server its first, with asyncio."""
    if ", " in name:
        return find_configuration(name)
    if name == "gunicorn":
        found = find_configuration("gunicorn, 1 worker, uvicorn_worker, uvloop")
        return replace(found, loop="asyncio", http="h11")
    if name == "waitress":
        return find_configuration("waitress, 1 worker, 4 threads")
    return replace(find_configuration(f"{name}, 1 worker, uvloop"), loop="asyncio")


def _environment(version: Version) -> Path:
    folder = CACHE / version.name
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet", *version.packages]
    # Old versions import pkg_resources, which newer versions of setuptools no longer have.
    subprocess.run([*install, "setuptools<80"], check=True, capture_output=True)
    return python


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
