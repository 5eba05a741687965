import httpx
import pytest

from tests.target_app.server import timed, together

THREADS = 4
ENVIRONMENT = {"TARGET_THREADS": str(THREADS), "TARGET_LOG_S": "2"}
SHORTEST_S, LONGEST_S, LOG_S = 0.2, 0.3, 2.0


@pytest.mark.parametrize(
    "path",
    [
        "/movies/{}",
        "/movie/{}",
        "/movies/sync/{}",
        "/sync-movie/{}",
        "/movies/thread/{}",
        "/movies/with-log/{}",
        "/movie_with_log/{}",
        "/movies/inline-log/{}",
        "/movies/with-blocking-log/{}",
    ],
)
def test_each_way_finds_the_film(client: httpx.Client, path: str) -> None:
    found = client.get(path.format(4)).json()
    assert found == {"id": 4, "movie": "Seven Samurai"}
    assert client.get(path.format(6)).status_code == 404
    assert client.get(path.format("four")).status_code == 422


def test_ping(client: httpx.Client) -> None:
    assert client.get("/ping").json() == {"ping": "pong"}


def test_awaited_look_ups_overlap(client: httpx.Client) -> None:
    assert SHORTEST_S <= together(client, "/movies/1", 20) < 20 * SHORTEST_S


def test_blocking_look_ups_wait_for_each_other(client: httpx.Client) -> None:
    assert together(client, "/movies/sync/1", 5) >= 5 * SHORTEST_S


def test_look_ups_in_threads_overlap_as_far_as_the_pool_goes(client: httpx.Client) -> None:
    elapsed_s = together(client, "/movies/thread/1", 3 * THREADS)
    assert 3 * SHORTEST_S <= elapsed_s < 3 * THREADS * SHORTEST_S


@pytest.mark.parametrize("path", ["/movies/with-log/1", "/movies/with-blocking-log/1"])
def test_a_background_log_does_not_delay_the_answer(client: httpx.Client, path: str) -> None:
    assert timed(lambda: client.get(path)) < LOG_S


def test_an_inline_log_delays_the_answer(client: httpx.Client) -> None:
    assert timed(lambda: client.get("/movies/inline-log/1")) >= LOG_S + SHORTEST_S


def test_an_awaited_log_leaves_the_threads_free(client: httpx.Client) -> None:
    together(client, "/movies/with-log/1", THREADS)
    assert timed(lambda: client.get("/movies/thread/1")) < LOG_S / 2


def test_a_blocking_log_keeps_the_threads(client: httpx.Client) -> None:
    together(client, "/movies/with-blocking-log/1", THREADS)
    assert timed(lambda: client.get("/movies/thread/1")) > LOG_S / 2
