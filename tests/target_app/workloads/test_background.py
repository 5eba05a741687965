import httpx
import pytest

from target_app.cpu import compute
from tests.target_app.server import Server, children, timed

STEPS = 5_000_000
"""A third of a second of the processor, and more."""
ENVIRONMENT = {"TARGET_CPU_N": str(STEPS), "TARGET_PATHS": "/process-data/{message}"}


@pytest.fixture(scope="module")
def task_s(client: httpx.Client) -> float:
    """How long the task takes in the server, as an answer that waits for it tells."""
    return timed(lambda: client.post("/process-data/inline/hello"))


def test_inline_answers_with_the_result(client: httpx.Client) -> None:
    answer = client.post("/process-data/inline/hello").json()
    assert answer == {"message": "hello", "status": "done", "result": compute(STEPS)}


def accepted_at_once(client: httpx.Client, way: str, task_s: float) -> None:
    """Send a task, whose answer does not wait for it."""
    answer = client.post(f"/process-data/{way}hello")
    assert answer.json() == {"message": "hello", "status": "accepted"}
    assert answer.elapsed.total_seconds() < task_s / 2


def test_a_task_on_the_loop_delays_everybody(client: httpx.Client, task_s: float) -> None:
    accepted_at_once(client, "loop/", task_s)
    assert timed(lambda: client.get("/health")) > task_s / 2


@pytest.mark.parametrize("way", ["", "process/"])
def test_a_task_elsewhere_lets_others_through(
    client: httpx.Client, task_s: float, way: str
) -> None:
    accepted_at_once(client, way, task_s)
    assert timed(lambda: client.get("/health")) < task_s / 2


def test_the_pool_is_made_of_processes(server: Server) -> None:
    assert children(server.process, "anyio.to_process")
