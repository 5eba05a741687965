"""Rows of the table in docs/methodology.md that says how every ending of a request is classed."""

from collections.abc import Mapping
from pathlib import Path

METHODOLOGY = Path(__file__).parents[2] / "docs" / "methodology.md"
HEAD = "| what the server does | class | in other strategies | why |"

ENDINGS = {
    "ok": "a whole response",
    "no-content": "204 without a body",
    "until-close": "a body without a length, ended by the connection",
    "gzip-bomb": "30 MB of zeros, packed into 30 kB: not unpacked",
    "surplus": "a body longer than its `Content-Length`",
    "hints-first": "early hints (103), then the response",
    "newlines-alone": "lines that end without CR",
    "length-and-chunks": "a `Content-Length` and chunks",
    "spaced-name": "a space between `Content-Length` and its colon, then closes",
    "folded-header": "a header that goes on in the next line",
    "http-1-2": "calls itself HTTP/1.2",
    "http-2-0": "calls itself HTTP/2.0, and speaks HTTP/1.1",
    "redirect": "302, which is not followed",
    "server-error": "500 with a body",
    "empty": "closes without a byte",
    "cut-status": "closes within the status line",
    "cut-headers": "closes within the headers",
    "truncated": "closes within a body of known length",
    "truncated-chunk": "closes within a chunk",
    "missing-chunk": "closes before the last chunk",
    "reset": "resets the connection without a byte",
    "reset-in-body": "resets the connection within the body",
    "bad-chunk": "a chunk whose size is no number",
    "two-lengths": "two lengths that differ",
    "signed-length": "`Content-Length: +2`",
    "negative-length": "`Content-Length: -2`",
    "same-length-twice": "the same `Content-Length` twice",
    "listed-length": "`Content-Length: 2, 2`",
    "chunk-without-end": "a chunk that no end of line follows",
    "empty-line": "an empty line, and nothing else",
    "not-http": "a line that is not HTTP, then closes",
    "long-header": "a header of 100 kB",
    "many-headers": "5,000 headers",
    "early-hints": "early hints (103) again and again, and nothing else",
    "slow-headers": "headers byte by byte, beyond the deadline",
    "slow-body": "a body byte by byte, beyond the deadline",
    "silence": "nothing, beyond the deadline",
    "huge-body": "a body of 300 MB, beyond `max_body_bytes`",
    "endless-chunks": "chunks without an end",
    "closes GET": "closes after each response without saying so; GET",
    "closes POST": "closes after each response without saying so; POST",
    "closes_after_three GET": "closes after three responses without saying so; GET",
    "closes_after_three POST": "closes after three responses without saying so; POST",
    "closes_after_three PUT": "closes after three responses without saying so; PUT with a body",
    "says_so GET": "says `Connection: close` and closes",
    "http_1_0 GET": "speaks HTTP/1.0 and closes",
    "http_1_0_without_length GET": "speaks HTTP/1.0 without a length; GET",
    "http_1_0_without_length POST": "speaks HTTP/1.0 without a length; POST",
    "ends_its_side GET": "ends its side after each response, and reads on",
    "other-content": "200 with another body than `expect` asks for",
    "rejects_bodies PUT": "answers 413 before it has read the body, and closes",
}
"""By the name of a fault, or of a server and its method."""

_HEAD_ENDS = "http.client takes the end of the connection for that of the head"
_LLHTTP = "llhttp, which reads for both, refuses it"
WHY = {
    "cut-headers": _HEAD_ENDS,
    "surplus": "aiohttp reads what follows as the next response",
    "hints-first": "http.client takes any 1xx but 100 for the response",
    "newlines-alone": "llhttp takes it for no HTTP; aiohttp lets it pass",
    "same-length-twice": "h11 takes equal lengths for one",
    "listed-length": "h11 takes equal lengths for one",
    "empty-line": "llhttp, which reads for both, skips it and waits for the status line",
    "length-and-chunks": _LLHTTP,
    "spaced-name": "h11 and llhttp refuse it, aiohttp is lenient; http.client ignores that header",
    "folded-header": "llhttp refuses it; aiohttp lets it pass",
    "http-1-2": _LLHTTP,
    "http-2-0": "http.client refuses it",
    "chunk-without-end": "http.client looks at nothing there",
    "early-hints": "http.client takes any 1xx but 100 for the response",
    "not-http": "h11 looks at a head when all of it came",
}
"""Why strategies differ; where nothing stands here they must not."""


def row(ending: str, classes: Mapping[str, str]) -> str:
    """Return the row of an ending, from its class by strategy; most of them have the first one."""
    usual = max(classes.values(), key=list(classes.values()).count)
    others: dict[str, list[str]] = {}
    for strategy, name in classes.items():
        if name != usual:
            others.setdefault(name, []).append(strategy)
    told = "; ".join(f"{', '.join(names)}: `{name}`" for name, names in others.items())
    why = WHY[ending] if told else ""
    return f"| {ENDINGS[ending]} | `{usual}` | {told} | {why} |".replace("|  |", "| |")


def documented() -> list[str]:
    """Return the rows that stand in the document."""
    lines = METHODOLOGY.read_text().splitlines()
    first = lines.index(HEAD) + 2
    return lines[first : lines.index("", first)]
