import httpx
import pytest

from target_app.cpu import compute
from tests.target_app.server import Server, children, timed

STEPS = 10_000_000
ENVIRONMENT = {"TARGET_CPU_N": str(STEPS), "TARGET_PATHS": "/process-data/{message}"}


@pytest.fixture(scope="module")
def task_s(client: httpx.Client) -> float:
    """How long the task takes in the server, as an answer that waits for it tells."""
    return timed(lambda: client.post("/process-data/inline/hello"))


def test_inline_answers_with_the_result(client: httpx.Client) -> None:
    answer = client.post("/process-data/inline/hello").json()
    assert answer == {"message": "hello", "status": "done", "result": compute(STEPS)}


@pytest.mark.parametrize("way", ["", "loop/", "process/"])
def test_a_background_task_does_not_delay_the_answer(
    client: httpx.Client, task_s: float, way: str
) -> None:
    answer = client.post(f"/process-data/{way}hello")
    assert answer.json() == {"message": "hello", "status": "accepted"}
    assert answer.elapsed.total_seconds() < task_s / 2
    client.get("/health").raise_for_status()


def test_a_task_on_the_loop_delays_everybody(client: httpx.Client, task_s: float) -> None:
    client.post("/process-data/loop/hello")
    assert timed(lambda: client.get("/health")) > task_s / 2


@pytest.mark.parametrize("way", ["", "process/"])
def test_a_task_elsewhere_lets_others_through(
    client: httpx.Client, task_s: float, way: str
) -> None:
    client.post(f"/process-data/{way}hello")
    assert timed(lambda: client.get("/health")) < task_s / 2


def test_the_pool_is_made_of_processes(server: Server) -> None:
    assert children(server.process, "anyio.to_process")
