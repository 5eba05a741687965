"""The pages of every other browser test report what goes wrong on them."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

PAGES = {
    "/fine": "<p>Fine</p>",
    "/inline": "<script>document.title = 'ran'</script>",
    "/reported": "<p style='color: red'>Red</p>",
    "/broken": "<script src='/broken.js'></script>",
    "/broken.js": "undefinedFunction()",
}
POLICIES = {
    "/inline": ("Content-Security-Policy", "script-src 'self'"),
    "/reported": ("Content-Security-Policy-Report-Only", "style-src 'self'"),
}


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = ("<link rel=icon href='data:,'>" + PAGES[self.path]).encode()
        if self.path.endswith(".js"):
            body = PAGES[self.path].encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if ".js" in self.path else "text/html")
        self.send_header("Content-Length", str(len(body)))
        if self.path in POLICIES:
            self.send_header(*POLICIES[self.path])
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        return


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_fine_page_has_no_problem(page, problems, address) -> None:
    page.goto(f"{address}/fine")
    assert page.text_content("p") == "Fine"
    assert problems.seen == []


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("/inline", "CSP: script-src-elem blocked inline"),
        ("/reported", "CSP: style-src-attr blocked inline"),
        ("/broken", "undefinedFunction is not defined"),
    ],
)
def test_problems_are_noticed(page, problems, address, path: str, complaint: str) -> None:
    page.goto(address + path)
    page.wait_for_timeout(0)
    assert any(complaint in seen for seen in problems.seen)
    assert page.title() != "ran"
    problems.expected = list(problems.seen)


def test_without_javascript(open_page, problems, address) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"{address}/broken")
    assert problems.seen == []
