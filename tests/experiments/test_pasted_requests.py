"""curl commands as terminals and browsers write them, HAR files, and what is left out of them."""

import json
from typing import Any

import pytest

from control_plane.domain.errors import InvalidInput
from control_plane.domain.limits import Limits
from control_plane.domain.spec_json import read_spec
from control_plane.experiments.pasted_requests import MAX_CLASSES, read_pasted

HERE = "http://127.0.0.1:8000"


def only(text: str) -> dict[str, Any]:
    """The one request class of a text, which is one that a spec can have."""
    (request,) = read_pasted(text).requests
    load = {"model": "closed", "concurrency": 1}
    stream = {"requests": [request], "load": load, "stop": {"requests": 1}}
    read_spec({"workload": {"streams": [stream]}}, Limits())
    return {name: value for name, value in request.items() if name != "weight"}


SECRET = {"kind": "choice", "of": ["s3cret!"], "secret": True}


@pytest.mark.parametrize(
    ("text", "request_class"),
    [
        (f"curl {HERE}", {"method": "GET", "path": "/"}),
        ("curl 'localhost:8000/a b?q=x%20y&{z}=1#top'",
         {"method": "GET", "path": "/a%20b?q=x%20y&%7Bz%7D=1"}),
        (f"curl -sSL -XDELETE {HERE}/items/7", {"method": "DELETE", "path": "/items/7"}),
        (f"curl -I '{HERE}/x?api_key=s3cret!'",
         {"method": "HEAD", "path": "/x?api_key={api_key}", "values": {"api_key": SECRET}}),
        (f"curl {HERE}/items \\\n  -H 'Host: shop' -H 'accept: */*' -H 'X-Note: {{n}}' \\\n"
         "  --compressed -A me -u ann:pw --cookie a=1",
         {"method": "GET", "path": "/items", "headers": {
             "accept": "*/*", "X-Note": "{{n}}", "User-Agent": "me",
             "Authorization": "Basic YW5uOnB3", "Cookie": "a=1"}}),
        (f"curl {HERE}/login -d user=ann -d 'password=s3cret!' -d tag=a -d tag=b",
         {"method": "POST", "path": "/login", "values": {"password": SECRET},
          "body": {"form": {"user": "ann", "password": "{password}", "tag": ["a", "b"]}}}),
        (f"curl -X PUT {HERE}/x --json '{{\"n\": 1, \"in\": {{\"token\": \"s3cret!\"}}}}'",
         {"method": "PUT", "path": "/x", "values": {"token": SECRET},
          "headers": {"Accept": "application/json"},
          "body": {"json": {"n": 1, "in": {"token": "{token}"}}}}),
        (f"curl {HERE}/x -H 'Content-Type: text/csv' --data-raw $'a,b\\n\\'1\\',{{n}}'",
         {"method": "POST", "path": "/x", "headers": {"Content-Type": "text/csv"},
          "body": {"text": "a,b\n'1',{{n}}"}}),
        (f"curl {HERE}/x -d $'\\ud83d\\ude00\\u0021'",
         {"method": "POST", "path": "/x", "body": {"text": "😀!"},
          "headers": {"Content-Type": "application/x-www-form-urlencoded"}}),
        (f"curl {HERE}/x --json '{{\"n\": \"\\ud800\"}}'",
         {"method": "POST", "path": "/x", "body": {"text": '{"n": "\\ud800"}'},
          "headers": {"Accept": "application/json", "Content-Type": "application/json"}}),
        (f"curl -G {HERE}/find?a=1 --data-urlencode 'q=x y'",
         {"method": "GET", "path": "/find?a=1&q=x%20y"}),
        (f"curl {HERE}/up -F name=ann -F file=@photo.jpg",
         {"method": "POST", "path": "/up", "body": {"multipart": {
             "fields": {"name": "ann"}, "file": {
                 "name": "file", "filename": "photo.jpg", "content_type": "image/jpeg",
                 "size_bytes": 1_000}}}}),
        (f"curl {HERE}/up -F 'f=@C:\\pics\\{{a}}.bin;type=image/png;filename=\"b;{{c}}.png\"' "
         "-F tag=a -F tag=b -F '@=\"a;b\"' --form-string 'raw=@a;type=x'",
         {"method": "POST", "path": "/up", "body": {"multipart": {
             "fields": {"tag": ["a", "b"], "@": "a;b", "raw": "@a;type=x"}, "file": {
                 "name": "f", "filename": "b;{{c}}.png", "content_type": "image/png",
                 "size_bytes": 1_000}}}}),
        (f"curl ^\"{HERE}/find?q=1%^20^&r=^%^7B^\" ^\r\n  -X ^\"PUT^\" ^\r\n"
         "  -H ^\"if-match: ^\\^\"x^\\^\"^\" ^\r\n"
         "  --data-raw ^\"^{^\\^\"a^\\^\":^\\^\"it's^\n\n^\\^\\n^\\^\"^}^\"",
         {"method": "PUT", "path": "/find?q=1%20&r=%7B", "headers": {
             "if-match": '"x"', "Content-Type": "application/x-www-form-urlencoded"},
          "body": {"text": '{"a":"it\'s\n\\n"}'}}),
        (f'curl.exe "{HERE}/a?x=^" ^\n  -H "X-A: 1" ^\n  --json "{{\\"a\\": 1}}"',
         {"method": "POST", "path": "/a?x=%5E", "body": {"json": {"a": 1}},
          "headers": {"X-A": "1", "Accept": "application/json"}}),
        ("curl http://ann:p%40w@127.0.0.1:8000/x",
         {"method": "GET", "path": "/x", "headers": {"Authorization": "Basic YW5uOnBAdw=="}}),
        (f"curl '{HERE}/x?token=s3cret!' -d 'token=other!'",
         {"method": "POST", "path": "/x?token={token_}", "body": {"form": {"token": "{token}"}},
          "values": {"token": SECRET | {"of": ["other!"]}, "token_": SECRET}}),
        (f"curl -d 'like=^a$' -H 'Accept: text/x' '{HERE}/a;v=1;'",
         {"method": "POST", "path": "/a;v=1;", "headers": {"Accept": "text/x"},
          "body": {"form": {"like": "^a$"}}}),
        (f"curl {HERE}/x -m 2 > 'a b' 2>/dev/null -u ann -b a=1 -b 'b=2; c=3' -H 'User-agent: me'"
         " -A you | tr -d '\"'; sleep 1",
         {"method": "GET", "path": "/x", "headers": {
             "Authorization": "Basic YW5uOg==", "Cookie": "a=1; b=2; c=3", "User-agent": "you"}}),
        (f"curl {HERE}/x -H 'accept: text/x' --json '\"a|b;<c>\"'",
         {"method": "POST", "path": "/x", "headers": {"accept": "text/x"},
          "body": {"json": "a|b;<c>"}}),
        (f"curl {HERE}/x --data-urlencode '=a b' --data-urlencode c",
         {"method": "POST", "path": "/x", "body": {"text": "a%20b&c"}, "headers": {
             "Content-Type": "application/x-www-form-urlencoded"}}),
        (f"curl {HERE}/x -d '>' -H 'Y: 2'",
         {"method": "POST", "path": "/x", "body": {"text": ">"}, "headers": {
             "Y": "2", "Content-Type": "application/x-www-form-urlencoded"}}),
        (f"curl -d '>' {HERE}/x",
         {"method": "POST", "path": "/x", "body": {"text": ">"}, "headers": {
             "Content-Type": "application/x-www-form-urlencoded"}}),
        (f"curl {HERE}/x --json '\"<\"' 2>&1 >&2 &>f < in >| out &",
         {"method": "POST", "path": "/x", "body": {"json": "<"},
          "headers": {"Accept": "application/json"}}),
        (f"curl -A curl {HERE}/x", {"method": "GET", "path": "/x",
                                    "headers": {"User-Agent": "curl"}}),
        (f"curl {HERE}/x -H 'Content-Type: application/json' -d '[1]'",
         {"method": "POST", "path": "/x", "body": {"json": [1]}}),
    ],
)  # fmt: skip
def test_a_command_becomes_a_request_class(text: str, request_class: dict[str, Any]) -> None:
    assert only(text) == request_class


@pytest.mark.parametrize("operator", ["|", ">", "<", ";", "&", "&&", "||", "|&", ">>", "2>"])
@pytest.mark.parametrize("quoted", ["'{}'", '"{}"', "$'{}'"])
def test_what_is_quoted_neither_ends_a_command_nor_redirects_it(operator: str, quoted: str) -> None:
    text = quoted.format(operator)
    pasted = read_pasted(f"curl {HERE}/x -X PUT -A {text} --json '1' -H X-A:{text}")
    headers = pasted.requests[0]["headers"]
    assert (headers["User-Agent"], headers["X-A"]) == (operator, operator)
    assert pasted.requests[0]["body"] == {"json": 1}
    assert pasted.notes == ()


@pytest.mark.parametrize("body", ['{"n": NaN}', "[1e999]", "[" * 300 + "]" * 300])
def test_json_that_cannot_be_stored_is_sent_as_text(body: str) -> None:
    assert only(f"curl {HERE} --json '{body}'")["body"] == {"text": body}


@pytest.mark.parametrize("url", ["http://127.0.0.1:x/", "http://[::1/", "ftp://127.0.0.1/"])
def test_what_is_no_address_of_http_is_named(url: str) -> None:
    with pytest.raises(InvalidInput, match="is no URL") as refused:
        read_pasted(f"curl '{url}'")
    assert url[:60] in str(refused.value)


def test_what_is_above_the_limit_or_carries_no_body_is_named() -> None:
    pasted = read_pasted(f"curl -X GET {HERE}/a -d x=1")
    assert pasted.requests == ({"method": "GET", "path": "/a", "weight": 1},)
    assert pasted.notes == ("GET carries no body here: that of /a is left out.",)
    many = read_pasted("\n".join(f"curl {HERE}/{place}" for place in range(MAX_CLASSES + 2)))
    assert len(many.requests) == MAX_CLASSES
    assert many.notes == (f"2 above the limit of {MAX_CLASSES} left out.",)


def test_several_commands_are_classes_with_weights() -> None:
    pasted = read_pasted(f"curl {HERE}/a && curl {HERE}/b\ncurl {HERE}/a ; curl https://cdn.test/x")
    assert [(request["path"], request["weight"]) for request in pasted.requests] == [
        ("/a", 2),
        ("/b", 1),
    ]
    assert pasted.origin == HERE
    assert pasted.notes == ("1 request to other addresses left out: https://cdn.test.",)


def test_what_a_part_cannot_have_is_named() -> None:
    parts = "-F 'a={};type=application/json;x' -F b=@1.txt -F c=@2.txt -F 'd=<3.txt'"
    pasted = read_pasted(f"curl {HERE} {parts}")
    assert pasted.notes == (
        "-F a: type=application/json is left out.",
        "-F a: x is left out.",
        "2.txt is left out: a body has one file here.",
        "<3.txt is a file, which is not read here: put its text into the body.",
    )
    multipart = pasted.requests[0]["body"]["multipart"]
    assert multipart["fields"] == {"a": "{}", "d": ""}
    assert multipart["file"]["content_type"] == "text/plain"


def test_unknown_flags_and_files_are_named() -> None:
    pasted = read_pasted(f"curl --proxy-ntlm --tlsv1.2 -x proxy:1 -L {HERE}/a -d @body.json")
    assert [note.partition(" ")[0] for note in pasted.notes] == [
        "--proxy-ntlm", "--tlsv1.2", "--proxy", "-L", "@body.json",
    ]  # fmt: skip
    assert pasted.requests[0]["path"] == "/a"


def test_other_programs_and_files_that_are_read_are_named() -> None:
    pasted = read_pasted(f"curl -b jar.txt -H @head {HERE}/a --data-urlencode n@b.txt | head -c 9")
    (request,) = pasted.requests
    assert request == {"method": "GET", "path": "/a", "weight": 1}
    assert [note.partition(" ")[0] for note in pasted.notes] == [
        "head", "jar.txt", "@head", "n@b.txt",
    ]  # fmt: skip


def test_each_part_of_a_command_has_its_own_data() -> None:
    pasted = read_pasted(f"curl {HERE}/a -d a=1 --next {HERE}/b | jq . && curl {HERE}/c -: {HERE}")
    sent = [(request["method"], request["path"]) for request in pasted.requests]
    assert sent == [("POST", "/a"), ("GET", "/b"), ("GET", "/c"), ("GET", "/")]


@pytest.mark.parametrize(
    "flags",
    [
        "--cacert ./ca.pem", "--cert ./a.pem --key ./b.pem", "-x http://proxy:1", "-T ./file",
        "--resolve a:1:127.0.0.1", "--max-redirs 3 --connect-timeout 1 -m 2", "-o /tmp/x -A me",
        "-e http://from.test/", "--of-tomorrow ./file", "-E./a.pem -k",
    ],
)  # fmt: skip
def test_the_value_of_a_flag_is_not_the_url(flags: str) -> None:
    for command in (f"curl {flags} {HERE}/a", f"curl {HERE}/a {flags}"):
        pasted = read_pasted(command)
        assert [pasted.origin, pasted.requests[0]["path"]] == [HERE, "/a"]
    assert read_pasted("curl --of-tomorrow localhost:8000").origin == "http://localhost:8000"


def entry(method: str, url: str, **more: Any) -> dict[str, Any]:
    return {"request": {"method": method, "url": url, "headers": [], **more}}


def test_parts_of_a_har_file() -> None:
    part = {"name": "photo", "fileName": "a.png", "contentType": "image/png"}
    posted = {"mimeType": "multipart/form-data", "params": [{"name": "n", "value": "1"}, part]}
    (request,) = read_pasted(har(request=entry("POST", HERE, postData=posted)["request"])).requests
    assert request["body"]["multipart"] == {
        "fields": {"n": "1"},
        "file": {
            "name": "photo",
            "filename": "a.png",
            "content_type": "image/png",
            "size_bytes": 1_000,
        },
    }


def test_the_fields_of_a_form_in_a_har_file() -> None:
    fields = [{"name": "a", "value": "1 2"}, {"name": "b", "value": "é"}]
    posted = {"mimeType": "application/x-www-form-urlencoded", "params": fields}
    (request,) = read_pasted(har(request=entry("POST", HERE, postData=posted)["request"])).requests
    assert request["body"] == {"form": {"a": "1 2", "b": "é"}}


def test_a_body_that_a_har_file_lacks_is_named() -> None:
    length = [{"name": "Content-Length", "value": "312"}]
    sent = (entry("POST", f"{HERE}/up", headers=length), entry("POST", f"{HERE}/b", bodySize=9))
    pasted = read_pasted(json.dumps({"log": {"entries": [*sent, entry("POST", f"{HERE}/c")]}}))
    assert pasted.notes == (
        "POST /up: its body is not in the file.",
        "POST /b: its body is not in the file.",
    )


def har(**sent: Any) -> str:
    return json.dumps({"log": {"entries": [entry("POST", f"{HERE}/a") | sent]}})


def test_a_har_file_is_its_requests_of_one_origin() -> None:
    sent = {"mimeType": "application/json; charset=utf-8", "text": '{"id": 1}'}
    headers = [{"name": ":authority", "value": "x"}, {"name": "Cookie", "value": "sid=1"}]
    entries = [
        entry("GET", f"{HERE}/", headers=headers),
        entry("POST", f"{HERE}/items", postData=sent),
        entry("GET", "https://fonts.test/a.woff"),
        entry("CONNECT", f"{HERE}/"),
        entry("GET", "data:image/png;base64,AAAA"),
    ]
    pasted = read_pasted(json.dumps({"log": {"entries": entries}}))
    assert [(request["method"], request["path"]) for request in pasted.requests] == [
        ("GET", "/"),
        ("POST", "/items"),
    ]
    assert pasted.requests[0]["headers"] == {"Cookie": "sid=1"}
    assert pasted.requests[1]["body"] == {"json": {"id": 1}}
    assert pasted.notes == (
        "data: is not HTTP: left out.",
        "1 request to other addresses left out: https://fonts.test.",
        "CONNECT is no method that can be sent: left out.",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("wget http://a", "Paste a command that begins with curl"),
        ("curl -H 'x", "This cannot be read as a command: No closing quotation."),
        ("curl -v", "A command without a URL"),
        ("curl ftp://a/b", "'ftp://a/b' is no URL of HTTP."),
        ("{}", "This is no HAR file: log.entries: Field required."),
        ('{"log": {"entries": []}}', "There is no request in it."),
        ("", "Paste a command"),
        (f"curl $'{HERE}/\\ud800'", "There is half of a character in it"),
        (f"curl {HERE} -d $'\\ud800'", "There is half of a character in it"),
        (f"curl {HERE}/\udcff", "There is half of a character in it"),
        (har(request=None), "no HAR file: log.entries.0.request: Input should be an object."),
        (har(request="GET"), "no HAR file: log.entries.0.request: Input should be an object."),
        (har(request=entry("POST", HERE, postData={"text": 1})["request"]), "postData.text"),
        (
            har(request=entry("POST", HERE, headers=[{"name": "X", "value": "\ud800"}])["request"]),
            "no HAR file: Invalid JSON",
        ),
        (har(request={"method": "CONNECT", "url": HERE}), "CONNECT is no method"),
    ],
)
def test_what_cannot_be_read(text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_pasted(text)
    assert said in caught.value.fields[0].message
