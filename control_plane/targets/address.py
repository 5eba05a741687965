"""Where targets listen: an address of this machine that is not the dashboard's, and a free port."""

import socket
from collections.abc import Iterator

PREFERRED = "127.0.0.2"
"""Cookies ignore ports, so another address keeps those of the dashboard away from targets."""


def listening_host() -> str:
    """127.0.0.2, or 127.0.0.1 where the system has no other loopback address."""
    with socket.socket() as probe:
        try:
            probe.bind((PREFERRED, 0))
        except OSError:
            return "127.0.0.1"
    return PREFERRED


def free_ports(host: str) -> Iterator[int]:
    """Ports that nobody has now, as many as wanted, each chosen by the system when asked for."""
    while True:
        with socket.socket() as probe:
            probe.bind((host, 0))
            port: int = probe.getsockname()[1]
        yield port
