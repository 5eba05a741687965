"""Another interpreter, asked for its version and packages."""

import asyncio
import platform
import sys
from pathlib import Path

import pytest

from control_plane.targets.interpreter import MOST_BYTES, Interpreter, asked
from control_plane.targets.variables import INSTANCE
from tests.targets.place import until


async def test_one_that_hangs_does_not_outlive_the_question(tmp_path: Path) -> None:
    silent, written = tmp_path / "python", tmp_path / "pid"
    silent.write_text(
        f"#!/bin/sh\necho $$ > {written}.new\nmv {written}.new {written}\nexec sleep 60\n"
    )
    silent.chmod(0o700)
    asking = asyncio.create_task(asked(silent, "test"))
    await asyncio.to_thread(until, written.exists, lambda: "it runs", 5)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not Path(f"/proc/{written.read_text().strip()}").exists()


async def test_one_that_never_stops_talking_fills_no_memory(tmp_path: Path) -> None:
    told = tmp_path / "python"
    told.write_text(f"#!/bin/sh\nhead -c {100 * MOST_BYTES} /dev/zero; env | grep {INSTANCE} >&2")
    told.chmod(0o700)
    assert await asked(told, "test") == Interpreter(fault=f"{INSTANCE}=test")


async def test_one_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    assert (await asked(tmp_path / "none", "test")).fault == "No such file or directory"


async def test_one_that_runs_tells_its_packages() -> None:
    has = await asked(Path(sys.executable), "test")
    assert has.version == platform.python_version()
    assert "fastapi" in has.packages
