"""One control plane for each file, told apart by the kernel and not by a pid."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from control_plane.domain.errors import DatabaseOwned, StoreError
from control_plane.store import instance_lock
from control_plane.store.instance_lock import Lock, lock_path, read_lock
from control_plane.store.store import open_store
from tests.dashboard import until

HOLDER = """
import sys
from pathlib import Path
from control_plane.store.instance_lock import Lock
lock = Lock(Path(sys.argv[1]))
lock.announce("http://127.0.0.1:8200")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_the_second_is_told_who_was_first(path: Path) -> None:
    """And makes no database where none is."""
    path.unlink()
    with holder(path) as first:
        with pytest.raises(DatabaseOwned, match=str(first.pid)) as refused:
            open_store(path)
        assert (refused.value.pid, refused.value.url) == (first.pid, "http://127.0.0.1:8200")
        assert "http://127.0.0.1:8200" in str(refused.value)
        held = read_lock(path)
        assert held is not None
        assert (held.pid, held.url) == (first.pid, "http://127.0.0.1:8200")
        assert not path.exists()


def test_the_lock_ends_with_its_process(path: Path) -> None:
    with holder(path) as first:
        first.kill()
        first.wait()
        assert read_lock(path) is None
        open_store(path).close()


def test_one_process_cannot_open_a_file_twice(path: Path) -> None:
    first = open_store(path)
    with pytest.raises(DatabaseOwned) as refused:
        open_store(path.parent / "." / path.name)
    assert refused.value.pid == os.getpid()
    first.close()
    open_store(path).close()


def test_another_name_for_the_same_file_is_the_same_file(path: Path) -> None:
    first = open_store(path)
    link = path.with_name("link.db")
    link.symlink_to(path)
    with pytest.raises(DatabaseOwned):
        open_store(link)
    first.announce("http://127.0.0.1:1")
    held = read_lock(link)
    assert held is not None
    assert held.url == "http://127.0.0.1:1"
    first.close()


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"pid": "x"}', "7", '{"pid": 1, "url": null, "started": "soon"}'],
)
def test_a_lock_file_that_nobody_holds_is_nothing(path: Path, content: str) -> None:
    lock_path(path).write_text(content)
    assert read_lock(path) is None
    open_store(path).close()


def test_a_pid_that_another_process_has_now_is_no_holder(path: Path) -> None:
    now = datetime.now(UTC).isoformat()
    stale = {"pid": os.getppid(), "url": "http://127.0.0.1:8200", "started": now}
    lock_path(path).write_text(json.dumps(stale))
    assert read_lock(path) is None
    open_store(path).close()


def test_a_held_lock_with_the_content_of_an_earlier_holder_names_nobody(path: Path) -> None:
    """The time between taking the lock and writing into it, in which an old pid may be anew."""
    lock = Lock(path)
    born = datetime(2001, 1, 1, tzinfo=UTC).isoformat()
    stale = {"pid": os.getppid(), "url": "http://127.0.0.1:8200", "started": born}
    lock_path(path).write_text(json.dumps(stale))
    assert read_lock(path) is None
    lock.announce("http://127.0.0.1:8300")
    held = read_lock(path)
    assert held is not None
    assert held.pid == os.getpid()
    lock.release()


def test_nothing_is_said_after_the_end(path: Path) -> None:
    store = open_store(path)
    store.announce("http://127.0.0.1:8200")
    store.close()
    assert read_lock(path) is None
    assert not lock_path(path).exists()


def test_who_waited_for_a_lock_file_that_goes_takes_the_one_that_comes(path: Path) -> None:
    """Else a third would lock another file of that name, and two had the database."""
    lock_path(path).touch()
    with lock_path(path).open("r+") as leaving, ThreadPoolExecutor() as threads:
        fcntl.flock(leaving, fcntl.LOCK_EX)
        waiting = threads.submit(Lock, path)
        until(lambda: opened(lock_path(path)) == 2, "the second has the file open")
        lock_path(path).unlink()
        fcntl.flock(leaving, fcntl.LOCK_UN)
        second = waiting.result()
    with pytest.raises(DatabaseOwned, match=str(os.getpid())):
        Lock(path)
    second.release()
    assert not lock_path(path).exists()


def opened(path: Path) -> int:
    """Return how many descriptors of this process are of that file."""
    links = Path("/proc/self/fd").iterdir()
    return sum(link.is_symlink() and os.path.realpath(link) == str(path) for link in links)


def test_who_holds_the_lock_and_does_not_say_who_it_is_is_not_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is the dead one whose pid is still written there."""
    monkeypatch.setattr(instance_lock, "_PATIENCE_S", 0.03)
    with subprocess.Popen(["true"]) as dead:
        pass
    born = datetime.now(UTC).isoformat()
    for content in ("", json.dumps({"pid": dead.pid, "url": None, "started": born})):
        lock_path(path).write_text(content)
        with lock_path(path).open("r+") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(DatabaseOwned) as refused:
                Lock(path)
        assert str(refused.value) == f"{path} is in use by another Looplab."
    Lock(path).release()


def test_a_lock_file_with_a_token_is_left_to_its_user_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_path(path).touch(0o644)
    lock = Lock(path)
    lock.announce("http://127.0.0.1:8200", "a token")
    assert lock_path(path).stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(StoreError, match="belongs to another user, who could read the token"):
        lock.announce("http://127.0.0.1:8200", "another token")
    lock.release()


def test_a_lock_file_that_cannot_be_opened_is_one_readable_line(path: Path) -> None:
    lock_path(path).mkdir()
    with pytest.raises(StoreError, match=r"\.lock cannot be written: Is a directory\.$"):
        open_store(path)
