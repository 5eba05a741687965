"""What axe finds on a page that is open."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SCRIPT = Axe().axe_script
HERE = "() => 'axe' in window"
FIND = """(options) => axe.run(document, { resultTypes: ["violations"], ...options }).then(
  ({ violations }) => violations.map(({ id, nodes }) => [id, nodes[0].html]))"""
"""What is right is left there: to hand over each element of it takes as long as to judge it."""


def violations(page: Page, **options: object) -> list[tuple[str, str]]:
    """The rule and the first element of each; takes axe's options."""
    if not page.evaluate(HERE):
        page.evaluate(SCRIPT)
    return [(rule, element) for rule, element in page.evaluate(FIND, options)]
