import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

WAYS = ["/users/", "/users/thread/", "/users/blocking/"]


def new_user() -> dict[str, str]:
    name = uuid.uuid4().hex
    return {"email": f"{name}@example.com", "full_name": f"User {name}"}


@pytest.mark.parametrize("way", WAYS)
def test_a_thousand_users_are_there_from_the_start(client: httpx.Client, way: str) -> None:
    for number in (1, 500, 1000):
        found = client.get(f"{way}user{number}@example.com")
        assert found.json() == {
            "email": f"user{number}@example.com",
            "full_name": f"User {number}",
        }
    assert client.get(f"{way}user1001@example.com").status_code == 404


@pytest.mark.parametrize("way", WAYS)
def test_a_user_added_in_one_way_is_found_in_all(client: httpx.Client, way: str) -> None:
    user = new_user()
    added = client.post(way, json=user)
    assert (added.status_code, added.json()) == (201, user)
    assert [client.get(other + user["email"]).json() for other in WAYS] == [user] * len(WAYS)


@pytest.mark.parametrize("way", WAYS)
def test_an_address_is_taken_only_once(client: httpx.Client, way: str) -> None:
    user = new_user()
    assert client.post(way, json=user).status_code == 201
    assert [client.post(other, json=user).status_code for other in WAYS] == [409] * len(WAYS)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "body",
    [
        '{"email": "nobody", "full_name": "A"}',
        '{"email": "a@example.com"}',
        '{"email": "a@example.com", "full_name": "\\ud800"}',
        '{"email": NaN, "full_name": "A"}',
    ],
)
def test_a_wrong_user_is_refused(client: httpx.Client, way: str, body: str) -> None:
    refused = client.post(way, content=body, headers={"content-type": "application/json"})
    assert refused.status_code == 422
    assert "input" not in refused.json()["detail"][0]


@pytest.mark.parametrize("way", WAYS)
def test_many_users_are_added_at_once(client: httpx.Client, way: str) -> None:
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: client.post(way, json=new_user()), range(80)))
    assert [answer.status_code for answer in answers] == [201] * 80
