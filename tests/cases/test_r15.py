"""New connections by TLS cost 150 ms in two strategies: each of them loaded certificates."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from control_plane.domain.client_strategies import STRATEGIES
from tests.cases.serving import serving
from tests.load.workers import completed, plan_of, record_of

CASE = Path(__file__).parent / "R15"
MOST, MOST_S = 3.0, 0.01
"""So many times the least, and so much more: libraries differ in what they do for a request.

Of processor time: how long it takes is the machine's business as well."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The application behind TLS, with a certificate of its own."""
    folder = tmp_path_factory.mktemp("tls")
    shutil.copy(CASE / "app.py", folder)
    subject = ["-days", "2", "-subj", "/CN=localhost", "-keyout", "k.pem", "-out", "c.pem"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject]
    subprocess.run(made, cwd=folder, check=True, capture_output=True)
    with serving(folder, "--ssl-keyfile", "k.pem", "--ssl-certfile", "c.pem") as url:
        yield url


async def mean_cpu_s(url: str, strategy: str, *, kept: bool) -> float:
    client = {"strategy": strategy, "reuse_connections": kept}
    record = await record_of(plan_of(url, "/", client=client, stop={"requests": 20}))
    assert (completed(record), record.errors) == (20, {})
    assert record.new_connections == (1 if kept else 20)
    return record.cpu_s / 20


def test_a_new_connection_costs_its_handshake_in_every_strategy(url: str) -> None:
    used = {name: asyncio.run(mean_cpu_s(url, name, kept=False)) for name in STRATEGIES}
    assert max(used.values()) < MOST * min(used.values()) + MOST_S, used


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_kept_connection_has_one_handshake(url: str, strategy: str) -> None:
    await mean_cpu_s(url, strategy, kept=True)
