"""Bad input: each case is a name and what is sent. None may give a 5xx, a row or a process."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from tests.dashboard import items_spec
from tests.faults.load_corpus import LOADS

NUMBERS: dict[str, Any] = {
    "minus one": -1,
    "zero": 0,
    "2^31": 2**31,
    "2^53+1": 2**53 + 1,
    "2^63": 2**63,
    "2^64": 2**64,
    "5,000 digits": int("9" * 4_000),
    "true": True,
    "text": "10",
    "underscore": "1_0",
    "null": None,
    "list": [1],
    "object": {"a": 1},
    "1e308": 1e308,
    "minus 1e308": -1e308,
    "half": 0.5,
}
WRONG_FOR: dict[str, set[str]] = {
    "seed": {"zero", "2^31"},
    "trials": set(),
    "warmup_s": {"zero", "half"},
    "timeout_s": {"half"},
    "workload.streams.0.load.concurrency": set(),
    "workload.streams.0.load.think_time_s": {"zero", "half"},
    "workload.streams.0.load.ramp_up_s": {"zero", "half"},
    "workload.streams.0.stop.requests": set(),
    "workload.streams.0.start_after_s": {"zero", "half"},
    "workload.streams.0.requests.0.weight": {"half"},
    "workload.streams.0.requests.0.values.item_id.low": {"minus one", "zero"},
    "workload.streams.0.requests.0.values.item_id.high": {"2^31"},
    "target.workers": set(),
    "target.threads": set(),
    "target.keep_alive_s": set(),
    "target.backlog": set(),
    "client.max_body_bytes": set(),
    "client.processes": set(),
}
"""The numeric fields, with the cases that are right there."""

TEXTS: dict[str, Any] = {
    "1 MB": "a" * 1_000_000,
    "201 signs": "a" * 201,
    "NUL": "a\0b",
    "bidi override": "a\u202eb",
    "CRLF": "a\r\nSet-Cookie: b=c",
    "ANSI": "\x1b[31mred",
    "number": 5,
    "null": None,
    "list": ["a"],
    "object": {"a": "b"},
}
WRONG_TEXT_FIELDS = (
    "title",
    "tags.0",
    "workload.streams.0.name",
    "workload.streams.0.requests.0.path",
    "workload.streams.0.requests.0.method",
    "workload.streams.0.requests.0.headers.X-Test",
    "workload.streams.0.load.model",
    "client.strategy",
    "client.session",
    "client.loop",
    "target.application",
    "target.server",
    "target.loop",
    "target.http",
    "cores",
)
ALLOWED_TEXT = {
    ("201 signs", "workload.streams.0.requests.0.headers.X-Test"),
}

PATHS = (
    "", "items", "//items", "/a b", "/a\tb", "/\u00e9", "/{unknown}", "/{}", "/a#b", "/a\\b",
    "http://127.0.0.1/", "/" + "a" * 3_000, "/%s{item_id", "../etc",
)  # fmt: skip
RIGHT_PATHS = {"/%s{item_id"}

URLS = (
    "", "x", "ftp://127.0.0.1", "file:///etc/passwd", "http://", "http://127.0.0.1:0",
    "http://127.0.0.1:99999", "http://127.0.0.1:x", "http://user@127.0.0.1", "http://u:p@127.0.0.1",
    "http://2130706433", "http://0x7f000001", "http://127.1", "http://[::ffff:127.0.0.1]",
    "http://10.0.0.1", "http://169.254.169.254", "http://example.com", "http://0.0.0.0",
    "http://127.0.0.1/path", "http://127.0.0.1?q=1", "http://127.0.0.1#f", "http://127.0.0.1?",
    "http://localhost.example.com", "http://127.0.0.1\\@example.com", "javascript:alert(1)",
    "http://[::1", "http://127.0.0.1\r\nHost: b", "gopher://127.0.0.1", "http:127.0.0.1",
    "//127.0.0.1", "http://127.0.0.1 ", "http://①②⑦.0.0.1",
)  # fmt: skip

OBJECTS: dict[str, Any] = {
    "no streams": {"workload": {"streams": []}},
    "nine streams": {"workload": {"streams": [{}] * 9}},
    "workload text": {"workload": "x"},
    "workload list": {"workload": []},
    "unknown key": {"sped": 1},
    "unknown key in target": {"target": {"sped": 1}},
    "unknown key in client": {"client": {"sped": 1}},
    "target text": {"target": "uvicorn"},
    "unknown configuration": {"target": {"configuration": "nothing"}},
    "configuration and more": {"target": {"configuration": "x", "workers": 2}},
    "url and more": {"target": {"url": "http://127.0.0.1:9", "workers": 2}},
    "worker on uvicorn": {"target": {"worker": "asgi"}},
    "reuse_port on uvicorn": {"target": {"reuse_port": False}},
    "no loop": {"target": {"loop": None}},
    "reload with workers": {"target": {"reload": True, "workers": 2}},
    "unknown setting": {"target": {"settings": {"path": "/etc"}}},
    "NUL in a setting": {"target": {"settings": {"database": "a\0b"}}},
    "unknown database": {"target": {"settings": {"database": "postgres"}}},
    "text for a number": {"target": {"settings": {"cpu_n": "5"}}},
    "negative setting": {"target": {"settings": {"cpu_n": -5}}},
    "setting of 1e300": {"target": {"settings": {"wait_scale": 1e300}}},
    "list as setting": {"target": {"settings": {"cpu_n": [1]}}},
    "import string": {"target": {"application": "os:system"}},
    "21 tags": {"tags": [str(number) for number in range(21)]},
    "tags text": {"tags": "demo"},
    "empty tag": {"tags": [""]},
    "blocking with users": {"client": {"strategy": "blocking"}},
    "blocking, open": {
        "client": {"strategy": "blocking"},
        "workload": {
            "streams": [
                {
                    "requests": [{"path": "/"}],
                    "load": {"model": "open", "rate_per_s": 5, "max_in_flight": 1},
                    "stop": {"requests": 5},
                }
            ]
        },
    },
    "unknown strategy": {"client": {"strategy": "raw2"}},
    "burst over one blocking client": {"client": {"strategy": "blocking", "processes": 2}},
    "more processes than users": {"client": {"strategy": "raw", "processes": 60}},
    "negative core": {"cores": {"target": [-1], "client": [0]}},
    "no core": {"cores": {"target": [], "client": []}},
    "half of the cores": {"cores": {"target": [0]}},
}

STREAMS: dict[str, Any] = {
    "both stops": {"stop": {"requests": 1, "duration_s": 1}},
    "no stop": {"stop": {}},
    "stop null": {"stop": None},
    "duration 10^9": {"stop": {"duration_s": 1e9}},
    "duration 0": {"stop": {"duration_s": 0}},
    "duration negative": {"stop": {"duration_s": -1}},
    "10^9 requests": {"stop": {"requests": 10**9}},
    "10^6 concurrency": {"load": {"model": "closed", "concurrency": 10**6}},
    "2,001 users": {"load": {"model": "closed", "concurrency": 2_001}},
    "unknown model": {"load": {"model": "wild"}},
    "no model": {"load": {"concurrency": 1}},
    "burst without connections": {"load": {"model": "burst"}},
    "burst over 0": {"load": {"model": "burst", "connections": 0}},
    "burst by duration": {"load": {"model": "burst", "connections": 1}, "stop": {"duration_s": 1}},
    **LOADS,
    "no request classes": {"requests": []},
    "101 request classes": {"requests": [{}] * 101},
    "body on GET": {"requests": [{"body": {"json": 1}}]},
    "two bodies": {"requests": [{"method": "POST", "body": {"json": 1, "text": "x"}}]},
    "no kind of body": {"requests": [{"method": "POST", "body": {}}]},
    "body of 10^12": {
        "requests": [
            {"method": "POST", "body": {"generated": {"shape": "name-data", "size_bytes": 10**12}}}
        ]
    },
    "shape": {
        "requests": [{"method": "POST", "body": {"generated": {"shape": "x", "size_bytes": 100}}}]
    },
    "TRACE": {"requests": [{"method": "TRACE"}]},
    "lower case method": {"requests": [{"method": "get"}]},
    "header Host": {"requests": [{"headers": {"Host": "example.com"}}]},
    "header Transfer-Encoding": {"requests": [{"headers": {"Transfer-Encoding": "chunked"}}]},
    "header with a space": {"requests": [{"headers": {"X Y": "1"}}]},
    "header CRLF": {"requests": [{"headers": {"X-A": "1\r\nX-B: 2"}}]},
    "header without a name": {"requests": [{"headers": {"": "1"}}]},
    "expect 99": {"requests": [{"expect": [99]}]},
    "expect 600": {"requests": [{"expect": [600]}]},
    "expect nothing": {"requests": [{"expect": []}]},
    "value kind": {"requests": [{"values": {"a": {"kind": "wild"}}}]},
    "value without kind": {"requests": [{"values": {"a": {"low": 1, "high": 2}}}]},
    "high below low": {"requests": [{"values": {"a": {"kind": "integer", "low": 2, "high": 1}}}]},
    "no choices": {"requests": [{"values": {"a": {"kind": "choice", "of": []}}}]},
    "1,001 choices": {"requests": [{"values": {"a": {"kind": "choice", "of": ["x"] * 1_001}}}]},
    "string of 10^9": {"requests": [{"values": {"a": {"kind": "string", "length": 10**9}}}]},
    "string of 0": {"requests": [{"values": {"a": {"kind": "string", "length": 0}}}]},
    "sequence from 10^400": {
        "requests": [{"values": {"a": {"kind": "sequence", "start": 10**400}}}]
    },
    "name of a value": {"requests": [{"values": {"a-b": {"kind": "uuid"}}}]},
    "weight 0": {"requests": [{"weight": 0}]},
    "weight negative": {"requests": [{"weight": -1}]},
}

BODIES: dict[str, bytes] = {
    "nothing": b"",
    "space": b" ",
    "no JSON": b"spec",
    "half": b'{"workload": {',
    "bad UTF-8": b'{"title": "\xff\xfe"}',
    "lone surrogate": b'{"title": "\\ud800", "workload": {"streams": []}}',
    "UTF-16": '{"title": "x"}'.encode("utf-16"),
    "BOM": b'\xef\xbb\xbf{"title": 1}',
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "deep closed": b"[" * 100_000 + b"]" * 100_000,
    "list": b"[]",
    "text": b'"spec"',
    "number": b"1",
    "null": b"null",
    "true": b"true",
    "NaN": b"NaN",
    "NaN inside": b'{"trials": NaN}',
    "Infinity": b'{"warmup_s": Infinity}',
    "minus Infinity": b'{"warmup_s": -Infinity}',
    "1e400": b'{"warmup_s": 1e400, "workload": {"streams": []}}',
    "duplicate keys": b'{"trials": 1, "trials": -1, "workload": {"streams": []}}',
    "trailing comma": b'{"trials": 1,}',
    "comment": b'{/* */"trials": 1}',
    "single quotes": b"{'trials': 1}",
    "NUL byte": b'{"title": "a\x00"}',
    "form": b"trials=1&title=x",
    "XML": b"<spec/>",
    "zip": b"PK\x03\x04" + bytes(100),
    "gzip": b"\x1f\x8b\x08" + bytes(100),
    "3 MB": b'{"title": "' + b"a" * 3_000_000 + b'"}',
}

XSS = (
    "<script>alert(1)</script>", '"><script>alert(1)</script>', "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>", "'-alert(1)-'", "javascript:alert(1)", "{{7*7}}", "{% raw %}",
    "${7*7}", "<!--", "]]>", "</textarea><script>alert(1)</script>", "<input onfocus=alert(1)>",
    "</title><script>alert(1)</script>", '" autofocus onfocus=alert(1) x="', "&lt;script&gt;",
    "' onmouseover='alert(1)", "%3Cscript%3E", "<iframe src=javascript:alert(1)>", "<b>bold</b>",
    "<a href=javascript:alert(1)>x</a>", "<style>*{display:none}</style>", "<object data=x>",
    "<base href=//127.0.0.9>", "<meta http-equiv=refresh>", "<form action=//127.0.0.9>",
    "<math><mi xlink:href=javascript:alert(1)>", "<details open ontoggle=alert(1)>",
    "<body onload=alert(1)>", "<embed src=x>", "<template><s>", "`${alert(1)}`", "@SUM(A1)",
    "\\u003cscript\\u003e", "<scr<script>ipt>", "<SCRIPT SRC=//127.0.0.9/x.js>", "+1+1", "-1+1",
    "=cmd|' /C calc'!A0", "../../etc/passwd",
)  # fmt: skip
"""Texts that are allowed in a title, and must be shown as they are."""


def replaced(path: str, value: Any) -> dict[str, Any]:
    """The plain spec with one field replaced."""
    spec = items_spec(
        title="x", tags=["x"], seed=1, trials=1, target={}, client={}, cores="auto"
    )  # fmt: skip
    node: Any = spec
    *above, last = path.split(".")
    for part in above:
        node = node[int(part)] if part.isdigit() else node.setdefault(part, {})
    node[int(last) if last.isdigit() else last] = value
    return spec


def wrong_specs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every spec that must be refused with 422, each with its name."""
    yield from _wrong_numbers()
    yield from _wrong_texts()
    for name, change in OBJECTS.items():
        yield name, items_spec(**deepcopy(change))
    for name, change in STREAMS.items():
        spec = items_spec()
        spec["workload"]["streams"][0].update(deepcopy(change))
        yield name, spec


def _wrong_numbers() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, right in WRONG_FOR.items():
        for name, value in NUMBERS.items():
            if name not in right:
                yield f"{path} {name}", replaced(path, value)


def _wrong_texts() -> Iterator[tuple[str, dict[str, Any]]]:
    for field in WRONG_TEXT_FIELDS:
        for name, value in TEXTS.items():
            if (name, field) not in ALLOWED_TEXT:
                yield f"{field} {name}", replaced(field, value)
    for path in PATHS:
        if path not in RIGHT_PATHS:
            yield f"path {path[:20]}", replaced("workload.streams.0.requests.0.path", path)
    for url in URLS:
        yield f"url {url[:40]}", items_spec(target={"url": url})


def encoded(spec: dict[str, Any]) -> bytes:
    """JSON, with numbers of any length."""
    return json.dumps(spec).encode()
