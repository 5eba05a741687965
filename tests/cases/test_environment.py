"""The environment of a run is that of its target: the interpreter that served, and its packages."""

import json
import platform
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from control_plane.targets.interpreter_packages import interpreter_of
from control_plane.targets.observation import procfs
from tests.builders.own import environment
from tests.dashboard import until
from tests.in_process import in_process

SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Plain(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_):
        pass

ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Plain).serve_forever()
"""
LOAD = {"model": "closed", "concurrency": 1}
STREAM = {"requests": [{"path": "/"}], "load": LOAD, "stop": {"duration_s": 0.3}}
OF_LOOPLAB = {"fastapi", "starlette", "uvicorn", "gunicorn", "hypercorn", "granian", "pydantic"}


def test_a_command_without_python_tells_the_packages_that_served(tmp_path: Path) -> None:
    """Once by a virtual environment without packages, once by ours."""
    bare = environment(tmp_path / "bare", packages=False)
    (tmp_path / "server.py").write_text(SERVER)
    commands = {"bare": f"{bare} server.py", "ours": f"{sys.executable} server.py"}
    settings = tmp_path / "looplab.toml"
    settings.write_text(
        "".join(
            f"[applications.{name}]\ncommand = {json.dumps(command + ' {host} {port}')}\n"
            for name, command in commands.items()
        )
    )
    with in_process(tmp_path, settings) as looplab:
        found = {}
        for name in commands:
            target = {"application": name, "server": "command"}
            spec = {"target": target, "workload": {"streams": [STREAM]}, "warmup_s": 0}
            found[name] = looplab.finished(looplab.submit(spec))["environment"]
    for facts in found.values():
        assert facts["target_python"] == platform.python_version()
        assert not OF_LOOPLAB & facts.keys()
    assert "fastapi" not in (found["bare"]["target_packages"] or {})
    names = list(found["ours"]["target_packages"])
    assert names.index("uvicorn") < names.index("fastapi") < names.index("anyio")
    digests = {facts["target_packages_digest"] for facts in found.values()}
    assert len(digests) == 2


STARTS = {
    "by its path": ["{venv}/bin/python", "serve.py"],
    "from its folder": ["venv/bin/python", "serve.py"],
    "by a script": ["./serve"],
    "by a shell that stays": ["sh", "-c", "venv/bin/python serve.py; true"],
    "by a shell that activates it": ["sh", "-c", ". venv/bin/activate; exec python serve.py"],
    "by env": ["env", "A=b", "{venv}/bin/python", "serve.py"],
    "by another Python": [
        sys.executable, "-c", "import subprocess; subprocess.run(['venv/bin/python', 'serve.py'])",
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An application that waits, with its environment and a script of its own."""
    folder = tmp_path_factory.mktemp("started")
    python = environment(folder / "venv", packages=False)
    (folder / "serve.py").write_text("input()\n")
    (folder / "serve").write_text(f"#!{python}\ninput()\n")
    (folder / "serve").chmod(0o755)
    return folder


@pytest.mark.parametrize("start", STARTS)
def test_the_interpreter_is_found_however_it_was_started(start: str, folder: Path) -> None:
    words = [word.format(venv=folder / "venv") for word in STARTS[start]]
    with subprocess.Popen(words, cwd=folder, stdin=subprocess.PIPE) as child:
        try:
            until(partial(runs_in, folder / "venv" / "bin" / "python", child.pid), "it is seen")
        finally:
            child.communicate(b"\n")


def runs_in(python: Path, pid: int) -> bool:
    """Return whether that is seen; a process that just began may not show its words yet."""
    return interpreter_of([pid, *procfs.descendants(pid)]) == python


def test_a_program_that_is_no_python_has_no_interpreter() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        assert interpreter_of([child.pid]) is None
        child.kill()
