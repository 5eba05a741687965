"""Short names made of longer ones, for elements of a page."""

import re


def slug(text: str) -> str:
    """Lowercase letters a to z, digits and dashes; empty where the text has none of them."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
