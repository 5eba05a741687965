import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import psutil
import pytest

from control_plane.domain.errors import TargetFailed
from control_plane.domain.spec import UrlTarget
from control_plane.domain.target_addresses import allowed_target
from control_plane.jobs import Runtime
from control_plane.targets.launch import free_ports, reach
from control_plane.targets.observation.worker_watch import EndedWorkers
from control_plane.targets.running_target import ExternalTarget
from tests.targets.family import family, kill

NONE_ENDED = EndedWorkers(0, 0)


async def test_a_server_that_runs_is_reached_and_its_processes_are_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        target = await reach(f"http://localhost:{port}", ())
        assert target.url == f"http://127.0.0.1:{port}"
        assert {os.getpid(), child.pid} <= set(target.pids())
        assert (target.command, target.pid, target.ready_s) == (None, 0, None)
        assert (target.failure(), target.log()) == (None, ())
        child.communicate()
        await target.stop()
        assert target.host_header == f"localhost:{port}"
        again = await reach(f"http://127.0.0.1:{port}/", (), "shop.example")
        assert again.host_header == "shop.example"


async def test_a_name_below_localhost_leads_to_this_machine_whatever_a_resolver_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RFC 6761, 6.3."""
    resolve = socket.getaddrinfo

    def elsewhere(host: str, *rest: Any, **more: Any) -> Any:
        return resolve("192.0.2.1" if host.startswith("shop") else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", elsewhere)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        target = await reach(f"http://shop.localhost:{port}", ())
        assert target.url == f"http://127.0.0.1:{port}"
        assert target.host_header == f"shop.localhost:{port}"
        with pytest.raises(TargetFailed, match="is this dashboard"):
            await reach(f"http://shop.localhost:{port}", {port})


async def test_an_address_of_version_six_keeps_its_brackets() -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no ::1")
    with server:
        port = server.getsockname()[1]
        assert (await reach(f"http://[::1]:{port}", ())).url == f"http://[::1]:{port}"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:{port}", r"^Nothing listens at http://127\.0\.0\.1:\d+: start"),
        ("http://127.0.0.1:8200", r"^Port 8200 is this dashboard"),
        ("http://name.invalid:8200", r"^name\.invalid has no address"),
        ("http://name.invalid:{port}", r"^name\.invalid has no address"),
        ("http://other.invalid:{port}", r"^other\.invalid is not on this machine"),
        ("http://192.0.2.1:{port}", r"^192\.0\.2\.1 is not on this machine"),
    ],
)
async def test_what_cannot_be_reached_is_said(url: str, message: str) -> None:
    port = next(free_ports("127.0.0.1"))
    with pytest.raises(TargetFailed, match=message):
        await reach(url.format(port=port), {8200}, allowed=(allowed_target("name.invalid"),))


async def test_an_address_beside_loopback_is_reached_where_it_is_allowed() -> None:
    """That of this machine stands for another; where it has none, only the refusal is seen."""
    entries = chain.from_iterable(psutil.net_if_addrs().values())
    families = (entry.address for entry in entries if entry.family == socket.AF_INET)
    address = next((known for known in families if not known.startswith("127.")), None)
    with socket.create_server((address or "127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(TargetFailed, match="is not on this machine"):
            await reach(f"http://{address or '192.0.2.1'}:{port}", ())
        if address:
            target = await reach(f"http://{address}:{port}", (), None, (allowed_target(address),))
            assert target.url == f"http://{address}:{port}"
            with pytest.raises(TargetFailed, match="is this dashboard"):
                await reach(target.url, {port}, None, (allowed_target(address),))
            assert os.getpid() in target.pids()


async def test_every_trial_asks_the_machine_that_the_first_one_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two addresses of loopback stand for two machines behind one name."""
    port = next(free_ports("127.0.0.2"))
    leads_to = ["127.0.0.3", "127.0.0.2"]
    found, looked_up = socket.getaddrinfo, []

    def resolved(host: str, *given: Any, **named: Any) -> Any:
        looked_up.append(host)
        names = leads_to if host == "two.test" else [host]
        return [entry for name in names for entry in found(name, *given, **named)]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    url, allowed = f"http://two.test:{port}", (allowed_target("two.test"),)
    runtime = Runtime("a", Path(), frozenset(), "normal", {}, allowed, {})
    asked = UrlTarget(url)
    with socket.create_server(("127.0.0.3", port)):
        assert (await runtime.reach(asked)).url == f"http://127.0.0.3:{port}"
        with socket.create_server(("127.0.0.2", port)):
            # That comes first in their order, and is the only one once the name rotated.
            assert (await runtime.reach(asked)).url == f"http://127.0.0.3:{port}"
            leads_to.remove("127.0.0.3")
            assert (await runtime.reach(asked)).url == f"http://127.0.0.3:{port}"
            assert looked_up.count("two.test") == 1
            assert (
                await replace(runtime, reached={}).reach(asked)
            ).url == f"http://127.0.0.2:{port}"
    with (
        socket.create_server(("127.0.0.2", port)),
        pytest.raises(TargetFailed, match=rf"^Nothing listens at http://127\.0\.0\.3:{port}"),
    ):
        await runtime.reach(asked)


async def test_who_listens_here_is_not_taken_for_a_server_elsewhere() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        assert os.getpid() in ExternalTarget("http://127.0.0.1", "127.0.0.1", port, "a").pids()
        assert ExternalTarget("http://192.0.2.1", "192.0.2.1", port, "a").pids() == []


CONTAINED = """
import fcntl, socket, struct
lo = socket.socket()
request = lambda name, rest: struct.pack("16s24s", name, rest)
address = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton("10.9.9.9"))
fcntl.ioctl(lo, 0x8916, request(b"lo:1", address))  # SIOCSIFADDR
fcntl.ioctl(lo, 0x8914, request(b"lo", struct.pack("H", 0x49)))  # SIOCSIFFLAGS: up, loopback
server = socket.create_server(("", 0))
print(server.getsockname()[1], flush=True)
input()
"""


async def test_a_server_in_a_container_of_this_machine_is_seen() -> None:
    """It is no other program. In a network of its own it listens at an address that only that
    network has; nobody connects.
    """
    alone = ["unshare", "--map-root-user", "--net", sys.executable, "-c", CONTAINED]
    with subprocess.Popen(
        alone, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as container:
        assert container.stdout is not None
        port = int(container.stdout.readline() or 0)
        if not port:
            pytest.skip("this machine lets nobody have a network of its own")
        found = ExternalTarget("http://10.9.9.9", "10.9.9.9", port, "a").pids()
        others = ("10.9.9.8", port), ("10.9.9.9", port + 1)
        nobody = [ExternalTarget("http://x", *other, "a").pids() for other in others]
        container.communicate("\n")
    assert (found, nobody) == ([container.pid], [[], []])


@pytest.mark.parametrize("victim", [min, max])
@pytest.mark.parametrize("master_listens", [True, False])
async def test_any_worker_that_is_killed_is_counted(
    master_listens: bool, victim: Callable[[list[int]], int]
) -> None:
    """With SO_REUSEPORT each worker has a listener of its own, and its master none."""
    port = next(free_ports("127.0.0.1"))
    with family(port) as parent:
        if master_listens:
            parent.make("hold")
        workers = [parent.make("fork" if master_listens else "listen") for _ in range(2)]
        target = await reach(f"http://127.0.0.1:{port}", ())
        assert (target.ended_workers(), set(workers) - set(target.pids())) == (NONE_ENDED, set())
        kill(victim(workers))
        assert target.ended_workers() == EndedWorkers(1, 0)


async def test_the_end_of_the_only_process_is_counted() -> None:
    port = next(free_ports("127.0.0.1"))
    with family(port) as parent:
        worker = parent.make("listen")
        target = await reach(f"http://127.0.0.1:{port}", ())
        assert target.ended_workers() == NONE_ENDED
        kill(worker)
        assert target.ended_workers() == EndedWorkers(1, 0)


async def test_the_end_of_a_master_is_no_end_of_a_worker() -> None:
    port = next(free_ports("127.0.0.1"))
    with family(port) as parent:
        master, _ = parent.make("hold"), parent.make("fork")
        target = await reach(f"http://127.0.0.1:{port}", ())
        assert target.ended_workers() == NONE_ENDED
        kill(master)
        assert target.ended_workers() == NONE_ENDED
