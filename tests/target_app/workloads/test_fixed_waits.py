import httpx
import pytest

from tests.target_app.server import together

ENVIRONMENT = {"TARGET_WAIT_SCALE": "0.1"}


@pytest.mark.parametrize(
    ("path", "seconds"),
    [
        ("/e1/p1", 1.0),
        ("/e1/p2", 0.1),
        ("/e2/p1", 0.1),
        ("/e2/p2", 0.1),
        ("/e1/p3", 0.1),
        ("/e2/p3", 0.1),
    ],
)
def test_each_waits_its_scaled_time(client: httpx.Client, path: str, seconds: float) -> None:
    answer = client.get(path)
    assert answer.json() == {"waited_s": pytest.approx(seconds)}
    assert seconds <= answer.elapsed.total_seconds() < seconds + 1


@pytest.mark.parametrize("path", ["/e1/p2", "/e2/p2"])
def test_waits_that_block_the_loop_add_up(client: httpx.Client, path: str) -> None:
    assert together(client, path, 15) >= 1.5


@pytest.mark.parametrize("path", ["/e2/p1", "/e1/p3", "/e2/p3"])
def test_other_waits_overlap(client: httpx.Client, path: str) -> None:
    assert together(client, path, 15) < 1.5
