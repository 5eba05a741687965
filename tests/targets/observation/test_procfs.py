import os
import select
import socket
from pathlib import Path

import pytest

from control_plane.targets.observation import procfs

OWN = os.getpid()


@pytest.mark.parametrize(
    ("family", "bound", "asked"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET, "127.0.0.2", "127.0.0.2"),
        (socket.AF_INET, "0.0.0.0", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::", "::1"),
        (socket.AF_INET6, "::", "127.0.0.1"),
        (socket.AF_INET6, "::ffff:127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_listener_is_found_by_any_address_that_reaches_it(
    family: socket.AddressFamily, bound: str, asked: str
) -> None:
    with socket.socket(family) as listener:
        try:
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind((bound, 0))
        except OSError:
            pytest.skip(f"this machine has no {bound}")
        port = listener.getsockname()[1]
        assert procfs.inodes_at(asked, port) == set()
        listener.listen()
        assert procfs.inodes_at(asked, port) == {os.fstat(listener.fileno()).st_ino}
        assert f"(process {OWN})" in (procfs.owner_of(asked, port) or "")
    assert procfs.owner_of(asked, port) is None


def test_another_loopback_address_is_another_listener() -> None:
    with socket.create_server(("127.0.0.2", 0)) as listener:
        assert procfs.inodes_at("127.0.0.1", listener.getsockname()[1]) == set()


def test_holding_is_not_accepting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, select.epoll() as poll:
        inodes = {os.fstat(listener.fileno()).st_ino}
        assert procfs.held_inodes(inodes, [OWN]) == inodes
        assert procfs.holders(inodes, [OWN]) == {OWN: {listener.fileno()}}
        assert procfs.accepting(inodes, [OWN]) == []
        poll.register(listener, select.EPOLLIN)
        assert procfs.accepting(inodes, [OWN]) == [OWN]


@pytest.mark.parametrize(
    ("line", "busy_s", "stolen_s"),
    [
        # Time of guests is time of user and nice already, that of interrupts is nobody's.
        ("cpu  100 20 30 400 5 60 70 800 90 10", 1.5, 8.0),
        ("cpu  0 0 0 4 0 0 0 0 0 0", 0.0, 0.0),
        # A kernel from before it was counted (proc_stat(5)).
        ("cpu  100 20 30 400 5 60 70", 1.5, None),
    ],
)
def test_the_time_of_all_and_what_the_host_took(
    line: str, busy_s: float, stolen_s: float | None, tmp_path: Path
) -> None:
    stat = tmp_path / "stat"
    stat.write_text(f"{line}\ncpu0 1 1 1 1\n")
    per_tick = procfs.TICKS_PER_S / 100
    assert procfs.machine_cpu_s(stat) == pytest.approx(busy_s / per_tick)
    stolen = procfs.stolen_cpu_s(stat)
    assert (stolen and stolen * per_tick) == stolen_s
    assert procfs.stolen_cpu_s(tmp_path / "none") is None
