import httpx
import pytest


@pytest.mark.parametrize("path", ["/null", "/null/asgi"])
def test_the_answer_is_null(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.json() is None
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == "4"
