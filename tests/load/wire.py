"""Request classes whose bytes are told beforehand, and a server that keeps what really came."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from tests.load.endings_table import METHODOLOGY
from tests.load.hostile import OK, Connection, HostileServer, read_request

PATHS = (
    "/",
    "/plain",
    "/a/b/c/",
    "/a//b",
    "/a///b//",
    "/a/./b",
    "/a/../b",
    "/..",
    "/../../etc",
    "/./",
    "/a/.../b",
    "/a/%2e%2E/b",
    "/f/%7Euser",
    "/f/%7euser",
    "/f/~user",
    "/f/a%2cb",
    "/f/a%2Cb",
    "/f/a%2fb%2F",
    "/f/%41%42",
    "/f/%C3%A4",
    "/f/%c3%a4",
    "/f/%E4",
    "/f/%00",
    "/f/%zz",
    "/f/100%",
    "/f/%25%2525",
    "/f/a%20b+c",
    "/f/[1]",
    "/f/a|b",
    "/f/a^b`c",
    '/f/"quoted"',
    "/f/<tag>",
    "/f/it's",
    "/f/a;v=1;w",
    "/f/a,b!c$d&e(f)*g",
    "/f/user:name@host",
    "/f/:80/x",
    "/http://127.0.0.1/x",
    "/f/a{b",
    "/f/a}b",
    "/f/-._~",
    "/f?",
    "/f??",
    "/f?a?b?c",
    "/?x",
    "/?",
    "/f?x=%41&y=[1]",
    "/f?x[]=1&x[]=2",
    "/f?sig=a%2Bb",
    "/f?a+b=c+d",
    "/f?a=%c3%a4&b=%C3%A4",
    "/f?a&b&&c=",
    "/f?=",
    "/f?a=b=c",
    "/f?a;b;c",
    "/f?a=1,2,3",
    "/f?q='|^`\"<>",
    "/f?path=/a/../b//c",
    "/f?url=http://127.0.0.1/?x=1",
    "/f?%",
    "/f?a=%zz",
    "/f?a=%20b",
    "/f?filter={a",
)

HEADERS: tuple[dict[str, str], ...] = (
    {"X-One": "1", "x-two": "2", "X_THREE": "3", "xFouR": "4"},
    {"Z-Last": "z", "A-First": "a", "M-Middle": "m"},
    {"X-Spaces": "a  b   c", "X-Signs": '"quoted"; q=0.5, (comment) <a@b> {x y} [y] 100% \\ |~^`'},
    {"X-Empty": "", "X-Colons": "a: b: c", "X-Comma": "a, b,c ,d"},
    {"accept": "text/html", "USER-AGENT": "mine/1.0"},
    {"Cookie": 'a=1; b="two"; c=d=e', "Authorization": "Basic YTpi"},
    {"authorization": "Bearer abc.def", "cookie": "x=y"},
    {"Content-Type": "text/css", "Content-Encoding": "gzip", "Accept-Language": "de, en;q=0.5"},
    {"Referer": "http://127.0.0.1/a/../b?c#d", "Origin": "null", "Range": "bytes=0-1"},
    {"If-None-Match": 'W/"abc"', "Cache-Control": "no-cache", "Pragma": "no-cache"},
    {"!#$%&'*+.^_`|~09Az-": "token"},
    {"Date": "Sun, 06 Nov 1994 08:49:37 GMT", "Keep-Alive": "timeout=5"},
    {"TE": "trailers", "Upgrade-Insecure-Requests": "1", "DNT": "1"},
)

BODIES: tuple[dict[str, Any], ...] = (
    {"text": "plain\r\n\r\ntext\n"},
    {"text": "ä€😀 \x00"},
    {"json": {"b": 1, "a": [1.5, None, True, 'ä\\"/'], "": {}}},
    {"json": []},
    {"text": "x" * 300_000},
    {"form": {"a b": "1&2=3", "ä": "~%41", "none": ""}},
)
GENERATED = {"generated": {"shape": "name-data", "size_bytes": 100}}

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_WITH_BODY = ("POST", "PUT", "PATCH", "DELETE")
_WITH_LENGTH = ("POST", "PUT", "PATCH")
_TYPES = {"text": "text/plain; charset=utf-8", "form": "application/x-www-form-urlencoded"}
_COMMON = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "looplab"}


def request_classes() -> list[dict[str, Any]]:
    """Every path, all headers, all bodies, all methods."""
    return [
        *({"path": path} for path in PATHS),
        *({"method": "PATCH", "path": path} for path in PATHS[10:16]),
        *({"path": f"/headers/{at}", "headers": sent} for at, sent in enumerate(HEADERS[::2])),
        *(
            {"method": "PUT", "path": f"/put/{at}", "headers": sent, "body": BODIES[0]}
            for at, sent in enumerate(HEADERS[1::2])
        ),
        *({"method": method, "path": f"/method/{method}"} for method in METHODS),
        *(
            {"method": _WITH_BODY[at % 4], "path": f"/body/{at}", "body": body}
            for at, body in enumerate(BODIES)
        ),
        {"method": "POST", "path": "/generated", "body": GENERATED},
    ]


def body_of(request: dict[str, Any], generated: bytes) -> bytes:
    """Return the body of a request class; of one that is random, the one that came."""
    body = request.get("body", {"text": ""})
    if "form" in body:
        return urlencode(body["form"]).encode()
    if "json" in body:
        return json.dumps(body["json"], ensure_ascii=False, separators=(",", ":")).encode()
    return generated if "generated" in body else str(body["text"]).encode()


def head_of(request: dict[str, Any], host: str, body: bytes, *, kept: bool) -> bytes:
    """Return the head that docs/methodology.md promises, with the empty line that ends it."""
    method, own = request.get("method", "GET"), request.get("headers", {})
    names = {name.lower() for name in own}
    common = {name: text for name, text in _COMMON.items() if name.lower() not in names}
    given = request.get("body")
    implied = {}
    if given and "content-type" not in names:
        implied = {"Content-Type": _TYPES.get(next(iter(given)), "application/json")}
    length = {"Content-Length": str(len(body))} if body or method in _WITH_LENGTH else {}
    close = {} if kept else {"Connection": "close"}
    fields = {"Host": host, **common, **implied, **own, **length, **close}
    lines = [f"{method} {request['path']} HTTP/1.1"]
    lines += [f"{name}: {text}" for name, text in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode()


SHOWN = {
    "/f/a%2fb%2F": "a path, on a kept connection",
    "/a/../b": "dot segments, on a kept connection",
    "/f?x=%41&y=[1]": "a query, on a new connection",
    "/headers/0": "headers of its own, in their order",
    "/headers/2": "headers in the place of ours",
    "/method/POST": "POST without a body",
    "/method/DELETE": "DELETE without a body",
    "/body/3": "a body of JSON, with DELETE",
    "/body/5": "a form, with PUT",
}
"""What the table of docs/methodology.md shows, by path."""

ON_NEW = {"/f?x=%41&y=[1]"}
TABLE = "| what the spec has | head that a socket receives, from every strategy |"


def shown_row(path: str, sent: Iterable[bytes]) -> str:
    """Return the row of a path from all requests that came."""
    wanted = f" {path} HTTP/1.1\r\n".encode()
    (request,) = (request for request in sent if wanted in request)
    first, host, *others = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert host.startswith("Host: ")
    told = ", ".join(f"`{line}`" for line in (first, "Host: …", *others))
    return f"| {SHOWN[path]} | {told} |"


def documented_heads() -> list[str]:
    """Return the rows that stand in docs/methodology.md."""
    lines = METHODOLOGY.read_text().splitlines()
    first = lines.index(TABLE) + 2
    return lines[first : lines.index("", first)]


@dataclass
class RecordingServer(HostileServer):
    """Answers every request with 200; `seen` holds head and body as they came, in any order."""

    seen: list[tuple[bytes, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def _answer(self, connection: Connection) -> bool:
        head, body = read_request(connection.sock)
        if not head:
            return False
        self.seen.append((head + b"\r\n\r\n", body))
        method = head.partition(b" ")[0]
        connection.send(OK.removesuffix(b"ok") if method == b"HEAD" else OK)
        return b"\r\nConnection: close" not in head


@contextmanager
def recording_server() -> Iterator[RecordingServer]:
    server = RecordingServer()
    try:
        yield server
    finally:
        server.close()
