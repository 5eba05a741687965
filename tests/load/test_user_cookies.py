"""The cookies of a user: what comes back to which path, from which host, and for how long."""

import pytest

from control_plane.load.user_cookies import UserCookies, cookie_of


def jar(*found: str, path: str = "/shop/cart", host: str = "localhost:8000") -> UserCookies:
    cookies = UserCookies("http://127.0.0.1:8000", host)
    cookies.take(path, [(b"Set-Cookie", text.encode()) for text in found])
    return cookies


@pytest.mark.parametrize(
    ("found", "asked", "sent"),
    [
        (("a=1; Path=/", "b=2"), "/shop/pay?x=1", "b=2; a=1"),
        (("a=1",), "/other", ""),
        (("a=1; Path=/; Secure; HttpOnly; SameSite=Strict",), "/", "a=1"),
        (("a=1; Path=/; Domain=localhost",), "/", "a=1"),
        (("a=1; Path=/; Domain=example.com",), "/", ""),
        (("a=1; Path=/", "a=2; Path=/"), "/", "a=2"),
        (("a=1; Path=/", "a=; Path=/; Max-Age=0"), "/", ""),
        (("a=1; Path=/; Max-Age=60",), "/", "a=1"),
        (("a=1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",), "/", ""),
    ],
)
def test_what_goes_back(found: tuple[str, ...], asked: str, sent: str) -> None:
    assert jar(*found).header(asked) == sent


def test_an_answer_replaces_what_was_sent_before() -> None:
    cookies = jar("a=1; Path=/")
    assert cookies.header("/") == cookies.header("/") == "a=1"
    cookies.take("/", [(b"content-type", b"text/plain")])
    assert cookies.header("/") == "a=1"
    cookies.take("/", [(b"set-cookie", b"a=2; Path=/")])
    assert cookies.header("/") == "a=2"
    assert cookies.texts == {"1", "2"}
    assert jar("a=1; Path=/", host="").header("/") == "a=1"


def test_name_and_value() -> None:
    assert cookie_of('sid="a b=c"; Path=/; HttpOnly') == ("sid", "a b=c")
