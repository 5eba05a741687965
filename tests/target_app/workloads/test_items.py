import re

import httpx


def test_letters_are_five_and_random(client: httpx.Client) -> None:
    answers = [client.get("/").json() for _ in range(20)]
    assert all(re.fullmatch("[a-z]{5}", answer["data"]) for answer in answers)
    assert all(answer.keys() == {"data"} for answer in answers)
    assert len({answer["data"] for answer in answers}) > 1


def test_item_is_the_number_from_the_path(client: httpx.Client) -> None:
    assert client.get("/items/24999").json() == {"item_id": 24999}


def test_an_item_that_is_no_number_is_refused(client: httpx.Client) -> None:
    assert client.get("/items/lamp").status_code == 422
