"""Who has the port of the dashboard is said before scripts/serve sets anything up."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def answer(tmp_path: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    # Without site-packages, as on a machine where nothing is installed.
    command = [sys.executable, "-S", "-B", str(SCRIPTS / "port.py"), *arguments]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stderr


def test_a_taken_port_is_told_with_its_owner(tmp_path: Path, taken: int) -> None:
    code, said = answer(tmp_path, "--port", str(taken), "--db", "mine.db")
    assert code == 2
    assert said.startswith(f"Port 127.0.0.1:{taken} belongs to ")
    assert said.endswith("Choose another with --port.\n")
    assert answer(tmp_path, LOOPLAB_PORT=str(taken)) == (2, said)
    (tmp_path / ".env").write_text(f"LOOPLAB_PORT={taken}\n")
    assert answer(tmp_path) == (2, said)


@pytest.mark.parametrize("more", [("--port", "0"), ("--help",), ("doctor",), ("--port", "x")])
def test_what_takes_no_taken_port_goes_on(
    tmp_path: Path, taken: int, more: tuple[str, ...]
) -> None:
    assert answer(tmp_path, *more, LOOPLAB_PORT=str(taken)) == (0, "")


def test_serve_refuses_before_it_makes_an_environment(tmp_path: Path, taken: int) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("scripts", "control_plane", "pyproject.toml", "constraints.txt"):
        (checkout / name).symlink_to(SCRIPTS.parent / name)
    command = ["bash", str(checkout / "scripts" / "serve"), "--port", str(taken)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, "belongs to" in done.stderr) == (2, True)
    assert not (checkout / ".venv").exists()
