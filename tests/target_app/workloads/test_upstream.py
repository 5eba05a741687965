from collections.abc import Mapping

import httpx
import pytest

DELAY_S = 0.5
ENVIRONMENT = {
    "TARGET_UPSTREAM_DELAY_S": str(DELAY_S),
    "TARGET_PATHS": "/fetch-external-data",
    # A proxy in the environment must not be asked for an address on this machine.
    "http_proxy": "http://127.0.0.1:9",
}
DOCUMENTS = [{"path": f"/documents/{n}", "delay_s": DELAY_S} for n in (1, 2, 3)]


def fetched(client: httpx.Client, path: str) -> tuple[Mapping[str, object], float]:
    answer = client.get(path).raise_for_status()
    return answer.json(), answer.elapsed.total_seconds()


@pytest.mark.parametrize("path", ["/fetch-external-data", "/fetch-external-data/new-client"])
def test_calls_together_take_as_long_as_one(client: httpx.Client, path: str) -> None:
    answer, elapsed_s = fetched(client, path)
    assert answer == {"documents": DOCUMENTS}
    assert DELAY_S <= elapsed_s < 3 * DELAY_S


def test_calls_in_turn_add_up(client: httpx.Client) -> None:
    answer, elapsed_s = fetched(client, "/fetch-external-data/sequential")
    assert answer == {"documents": DOCUMENTS}
    assert elapsed_s >= 3 * DELAY_S


def test_a_user_and_a_call(client: httpx.Client) -> None:
    answer, elapsed_s = fetched(client, "/user-with-external-data/user3@example.com")
    assert answer["user"] == {"email": "user3@example.com", "full_name": "User 3"}
    assert answer["document"] == DOCUMENTS[0]
    assert elapsed_s >= DELAY_S


def test_no_call_is_made_for_an_unknown_user(client: httpx.Client) -> None:
    answer = client.get("/user-with-external-data/nobody@example.com")
    assert answer.status_code == 404
    assert answer.elapsed.total_seconds() < DELAY_S
