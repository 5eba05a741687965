"""Share links: a token opens its own link, and no other text opens any."""

import pytest

from control_plane.store.share_links import ShareSubject
from control_plane.store.store import Store


@pytest.mark.parametrize("odd", ["", "\ud800", "\x00", "'", "ä", "%", "\N{HANGUL FILLER}"])
def test_what_is_no_token_opens_nothing(store: Store, odd: str) -> None:
    token = store.make_share_link(ShareSubject("comparison", "runs=a,b", "two"), [], 1)
    opened = store.open_share_link(token)
    assert opened is not None
    assert opened.of.title == "two"
    for text in (40 * odd, odd + token[1:], token[:10] + odd, f"{token}{odd}."):
        assert store.open_share_link(text) is None, ascii(text)
