import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# int() of so many digits keeps the interpreter's lock for longer than any test may take.
STUCK = "import sys; sys.set_int_max_str_digits(0); int('7' * 20_000_000)"


def run(script: str) -> int:
    return subprocess.run(
        [sys.executable, "-c", "from control_plane.load import __main__, worker; " + script],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        timeout=20,
        check=False,
    ).returncode


@pytest.mark.parametrize("work", ["import time; time.sleep(60)", STUCK])
def test_the_alarm_needs_nothing_of_python(work: str) -> None:
    assert run(f"worker.set_alarm(0.2); {work}") == -signal.SIGALRM


def test_the_alarm_can_be_put_off_and_called_off() -> None:
    wait = "import time; time.sleep(0.3)"
    assert run(f"worker.set_alarm(0.2); worker.set_alarm(5); {wait}") == 0
    assert run(f"worker.set_alarm(0.2); worker.set_alarm(0); {wait}") == 0


def test_the_end_of_the_input_ends_it() -> None:
    assert run("worker.exit_on_stdin_eof(); import time; time.sleep(60)") == 0


def test_the_parent_of_its_parent_may_go() -> None:
    assert run("__main__.die_with_parent(); worker.reset_priority()") == 0


def test_a_parent_that_died_before_it_was_tied_is_noticed() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    script = "from control_plane.load import __main__; __main__.die_with_parent(); exit(1)"
    with os.fdopen(reading) as ended:
        tied = subprocess.run([sys.executable, "-c", script], cwd=ROOT, stdin=ended, check=False)
    assert tied.returncode == 0


def test_it_is_tied_before_the_imports_that_last() -> None:
    script = "import sys; from control_plane.load import __main__; sys.exit('numpy' in sys.modules)"
    tied = subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=20, check=False)
    assert tied.returncode == 0
