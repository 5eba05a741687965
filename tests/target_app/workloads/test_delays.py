import httpx
import pytest

from tests.target_app.server import together

ENVIRONMENT = {"TARGET_THREADS": "4"}
WAYS = ["async-delay", "sync-delay", "blocking-delay"]


def test_constant_answers(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/welcome").json() == {"message": "Welcome"}


@pytest.mark.parametrize("way", WAYS)
def test_the_delay_is_as_asked(client: httpx.Client, way: str) -> None:
    answer = client.get(f"/{way}/0.2")
    assert answer.json() == {"delay_s": 0.2}
    assert 0.2 <= answer.elapsed.total_seconds() < 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seconds", ["60.1", "-1", "nan", "inf", "long"])
def test_a_delay_out_of_bounds_is_refused(client: httpx.Client, way: str, seconds: str) -> None:
    assert client.get(f"/{way}/{seconds}").status_code == 422


def test_awaited_delays_overlap(client: httpx.Client) -> None:
    assert together(client, "/async-delay/0.5", 12) < 12 * 0.5


def test_delays_in_threads_overlap_as_far_as_the_pool_goes(client: httpx.Client) -> None:
    assert 1.5 <= together(client, "/sync-delay/0.5", 12) < 12 * 0.5


def test_blocking_delays_wait_for_each_other(client: httpx.Client) -> None:
    assert together(client, "/blocking-delay/0.3", 5) >= 1.5


def test_calls_together_take_as_long_as_one(client: httpx.Client) -> None:
    assert 0.99 <= client.get("/performance/async").json()["total_s"] < 2.97


def test_calls_in_turn_add_up(client: httpx.Client) -> None:
    assert client.get("/performance/sync").json()["total_s"] >= 2.97
