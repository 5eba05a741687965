import os
import select
import socket

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
