"""Another interpreter, asked for its version and packages."""

import asyncio
from pathlib import Path

import pytest

from control_plane.targets.interpreter import asked
from tests.targets.place import until


async def test_one_that_hangs_does_not_outlive_the_question(tmp_path: Path) -> None:
    silent, written = tmp_path / "python", tmp_path / "pid"
    silent.write_text(
        f"#!/bin/sh\necho $$ > {written}.new\nmv {written}.new {written}\nexec sleep 60\n"
    )
    silent.chmod(0o700)
    asking = asyncio.create_task(asked(silent))
    await asyncio.to_thread(until, written.exists, lambda: "it runs", 5)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not Path(f"/proc/{written.read_text().strip()}").exists()
