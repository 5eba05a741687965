"""Another interpreter, asked for its version and packages."""

import asyncio
import os
import platform
import sys
from pathlib import Path

import pytest

from control_plane.targets import interpreter_packages
from control_plane.targets.environment_variables import INSTANCE
from control_plane.targets.guarded_server import OUTPUT_READ_BYTES
from control_plane.targets.interpreter_packages import (
    Interpreter,
    Interpreters,
    inspect_interpreter,
)
from tests.targets.site import Site, until


@pytest.mark.parametrize("way", ["cancelled", "patience is over"])
async def test_one_that_hangs_does_not_outlive_the_question(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Nor does what it started; a wrapper is no more than the parent of what hangs."""
    hanging = tmp_path / "python"
    hanging.write_text("#!/bin/sh\nsetsid sleep 60 &\nsleep 60\n")
    hanging.chmod(0o700)
    if way == "patience is over":
        monkeypatch.setattr(interpreter_packages, "INTERPRETER_TIMEOUT_S", 0.2)
        assert (
            await inspect_interpreter(hanging, site.instance)
        ).fault == "it did not end within 0.2 s"
    else:
        asking = asyncio.create_task(inspect_interpreter(hanging, site.instance))
        await asyncio.to_thread(until, lambda: len(site.marked()) >= 4, lambda: "it runs", 5)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert site.left_behind() == []


async def test_one_that_never_stops_talking_fills_no_memory(tmp_path: Path) -> None:
    told = tmp_path / "python"
    told.write_text(
        f"#!/bin/sh\nhead -c {100 * OUTPUT_READ_BYTES} /dev/zero; echo; env | grep {INSTANCE} >&2"
    )
    told.chmod(0o700)
    assert await inspect_interpreter(told, "test") == Interpreter(fault=f"{INSTANCE}=test")


async def test_one_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    assert (
        await inspect_interpreter(tmp_path / "none", "test")
    ).fault == "No such file or directory"


async def test_one_that_runs_tells_its_packages() -> None:
    has = await inspect_interpreter(Path(sys.executable), "test")
    assert has.version == platform.python_version()
    assert "fastapi" in has.packages


def test_a_changed_one_is_not_asked_again_while_a_run_works(tmp_path: Path) -> None:
    """But for the run itself, once before its load."""
    python, works, asked = tmp_path / "python", [True], tmp_path / "asked"
    known = Interpreters("test")
    known.give_way_while(lambda: works[0], bool)

    def becomes(version: str) -> None:
        python.write_text(f"""#!/bin/sh\necho >>{asked}\necho '["", "{version}"]'\n""")
        python.chmod(0o700)
        os.utime(python, ns=(len(version), len(version)))

    becomes("3.9")
    assert known.inspect(python).version == "3.9"
    becomes("3.10")
    assert known.inspect(python).version == "3.9"
    works[0] = False
    assert known.inspect(python).version == "3.10"
    works[0] = True
    for version in ("3.10", "3.100", "3.100"):
        becomes(version)
        assert asyncio.run(known.current(python)).version == version
    assert asked.read_text().count("\n") == 3


def test_one_that_was_never_asked_waits_until_the_load_is_over(tmp_path: Path) -> None:
    asked, looks = tmp_path / "asked", iter([True, True, True])
    python = tmp_path / "python"
    python.write_text(f"""#!/bin/sh\ntouch {asked}\necho '["", "3.9"]'\n""")
    python.chmod(0o700)

    def loaded() -> bool:
        assert not asked.exists()
        return next(looks, False)

    known = Interpreters("test")
    known.give_way_while(bool, loaded)
    assert not known.tells(python)
    assert known.inspect(python).version == "3.9"
    assert next(looks, None) is None
    assert known.tells(python)
