"""curl commands as people type them and browsers copy them: the requests that they send. Pure."""

import re
import shlex
import tomllib
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from mimetypes import guess_type
from pathlib import Path, PureWindowsPath
from urllib.parse import quote

from control_plane.domain.errors import FieldError, InvalidInput, refused
from control_plane.domain.spec_json import Document

FORM_TYPE = "application/x-www-form-urlencoded"
JSON_TYPE = "application/json"


@dataclass
class WrittenRequest:
    """One request as it was written. `parts` and a `file` are those of a multipart body.

    `cookies` are those that are to be sent together.
    """

    method: str = ""
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    data: list[str] = field(default_factory=list)
    parts: list[tuple[str, str]] = field(default_factory=list)
    file: Document = field(default_factory=dict)
    media_type: str = FORM_TYPE
    in_query: bool = False
    cookies: list[str] = field(default_factory=list)

    def set_header(self, name: str, value: str) -> None:
        """Set a header in place of one whose name differs in case alone."""
        same = next((known for known in self.headers if known.lower() == name.lower()), name)
        self.headers[same] = value

    def add_file(self, name: str, filename: str, media_type: str, notes: list[str]) -> None:
        """Add a file to the multipart body; one that finds another there becomes a note."""
        filename = filename or "file.bin"
        if self.file:
            notes.append(f"{filename[:60]} is left out: a body has one file here.")
            return
        kind = media_type or guess_type(filename)[0] or "application/octet-stream"
        size = {"size_bytes": 1_000}
        self.file |= {"name": name, "filename": filename, "content_type": kind} | size


def wrong_paste(message: str) -> InvalidInput:
    """Return the error of a text that cannot be read."""
    return refused((FieldError("paste", message),))


def whole_text(text: str) -> str:
    """Return the text with pairs of surrogates as what they stand for. Refuses half a pair."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise wrong_paste("There is half of a character in it (a lone surrogate).") from None


_CONTINUED = re.compile(r"\\\r?\n")
_QUOTED_OR_OPERATOR = re.compile(
    r"""'[^']*'|"(?:[^"\\]++|\\.)*+"|\\."""
    r"""|\$'(?P<ansi_c>(?:[^'\\]++|\\.)*+)'"""
    r"""|(?P<redirects>(?:(?<!\S)\d+|&)?[<>]+[&|]?)"""
    r"""|(?P<ends>[;|]+&?|(?<!\S)&&?(?!\S))""",
    re.DOTALL,
)
"""Quoted text, which may end in a dollar, and what ends a command or redirects it."""
_FOR_CMD = re.compile(r'(?:^|\s)\^(?:"|\r?\n)')
_CARET = re.compile(r'"[^"\r\n]*"?|\^\r?\n(\r?\n)?|\^(.)')
_OF_PART = re.compile(
    r'\s*((?:(?:type|filename|headers|encoder)=)?)("(?:[^"\\]++|\\.)*+"|[^;]*?)\s*(?:;|$)'
)

_FLAGS = tomllib.loads(Path(__file__).with_name("curl_flags.toml").read_text(encoding="utf-8"))
_LONG: dict[str, str] = _FLAGS["long"]
_LEFT_OUT = {*_FLAGS["left_out_with_value"]}
_VALUED = {*_FLAGS["taken_with_value"], *_FLAGS["without_effect_with_value"], *_LEFT_OUT}
_ALONE = {*_FLAGS["taken_alone"], *_FLAGS["without_effect_alone"]}
_WITHOUT_EFFECT = {*_FLAGS["without_effect_with_value"], *_FLAGS["without_effect_alone"]}
_PERHAPS_URL = "?"
_CURL = {"curl", "curl.exe"}
_BEGINS = _CURL | {"--next", "-:"}


def of_curl(text: str, notes: list[str]) -> Iterator[WrittenRequest]:
    """Yield the requests of commands for a shell or cmd.exe; `notes` get what is left out.

    Raises InvalidInput.
    """
    plain = _without_carets(text) if _FOR_CMD.search(text) else _CONTINUED.sub(" ", text)
    try:
        words = list(_words(plain))
    except ValueError as error:
        raise wrong_paste(f"This cannot be read as a command: {error}.") from None
    if not words or words[0] not in _CURL:
        raise wrong_paste("Paste a command that begins with curl, or the JSON of a HAR file.")
    for command in _commands(words, notes):
        yield from _of_command(command, notes)


class _End(str):
    """What ends a command: one of `;`, `|`, `&` and their pairs that is not quoted."""


class _Redirection(str):
    """What sends output to a file, or reads from one: `2>` with its descriptor, not quoted."""


def _words(text: str) -> Iterator[str]:
    """Yield the words of a shell; only what is not quoted ends a command or redirects it."""
    piece, end = [""], 0
    for found in _QUOTED_OR_OPERATOR.finditer(text):
        piece.append(text[end : found.start()])
        end = found.end()
        operator = _Redirection if found["redirects"] else _End if found["ends"] else None
        if operator is None:
            piece.append(_plainly_quoted(found))
            continue
        yield from shlex.split("".join(piece))
        yield operator(found[0])
        piece = [""]
    yield from shlex.split("".join((*piece, text[end:])))


def _commands(words: Sequence[str], notes: list[str]) -> list[list[str]]:
    """Return the words behind each curl; other programs are named, files of a redirection not."""
    commands: list[list[str]] = []
    left, began = list(words), False
    while left:
        word = left.pop(0)
        if isinstance(word, _End):
            began = False
            if left and left[0] not in _CURL and not isinstance(left[0], _End):
                notes.append(f"{left[0][:40]} is another program: left out.")
        elif isinstance(word, _Redirection):
            del left[:1]
        elif began and (_awaits_value(commands[-1]) or word not in _BEGINS):
            commands[-1].append(word)
        elif began or word in _CURL:
            commands.append([])
            began = True
    return commands


def _awaits_value(words: Sequence[str]) -> bool:
    """Whether the last word is a flag whose value comes next, be it `curl`."""
    last = words[-1] if words else ""
    return _LONG.get(last, last) in _VALUED


def _without_carets(text: str) -> str:
    """Return a command for cmd.exe as a shell reads it: outside of quotes a caret escapes."""

    def meant(found: re.Match[str]) -> str:
        if found[0].startswith('"'):
            return found[0]
        return found[2] or ("\n" if found[1] else " ")

    return _CARET.sub(meant, text)


def _plainly_quoted(found: re.Match[str]) -> str:
    """Return what `$'…'` stands for, quoted as shlex reads it; other text as it is."""
    if found["ansi_c"] is None:
        return found[0]
    text = found["ansi_c"].encode("latin-1", "backslashreplace").decode("unicode_escape")
    return shlex.quote(whole_text(text))


def _of_command(words: Sequence[str], notes: list[str]) -> Iterator[WrittenRequest]:
    request, found = WrittenRequest(), dict[str, list[str]]()
    for flag, value in _flags(words, notes):
        if flag in {"", "--url", _PERHAPS_URL}:
            found.setdefault(flag, []).append(value)
        elif flag in _LEFT_OUT:
            notes.append(f"{flag} is left out.")
        else:
            _take(request, flag, value, notes)
    urls = [*found.get("", ()), *found.get("--url", ())] or found.get(_PERHAPS_URL, [])[-1:]
    if not urls:
        raise wrong_paste("A command without a URL: write the whole command.")
    if not request.method:
        sends = (request.data and not request.in_query) or request.parts or request.file
        request.method = "POST" if sends else "GET"
    for url in urls:
        yield WrittenRequest(**{**vars(request), "url": url})


def _flags(words: Sequence[str], notes: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each flag by its long name with its value; a URL has the name "".

    What stands behind an unknown flag is either its value or a URL.
    """
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-") or word == "-":
            yield "", word
            continue
        name, equals, value = word.partition("=") if word.startswith("--") else (word[:2], "", "")
        name = _LONG.get(name, name)
        if name in _VALUED:
            inside = value if word.startswith("--") else word[2:]
            yield name, inside if inside or equals else (left.pop(0) if left else "")
            continue
        if not word.startswith("--") and len(word) > 2:
            left.insert(0, f"-{word[2:]}")
        if name in _ALONE:
            yield name, ""
            continue
        notes.append(f"{name[:40]} is no flag that is known here: left out.")
        if left and not left[0].startswith("-") and "://" not in left[0]:
            yield _PERHAPS_URL, left.pop(0)


def _take(request: WrittenRequest, flag: str, value: str, notes: list[str]) -> None:
    """Take a flag into the request; what cannot be taken becomes a note."""
    if flag in {"--request", "--head"}:
        request.method = value.upper() or "HEAD"
    elif flag == "--get":
        request.in_query = True
    elif flag in _HEADER_FLAGS:
        _take_header(request, flag, value, notes)
    elif flag.startswith("--form"):
        _take_part(request, flag, value, notes)
    elif flag == "--location":
        notes.append("-L follows redirects, which a run does not: name the last path.")
    elif flag not in _WITHOUT_EFFECT:
        _take_data(request, flag, value, notes)


def _take_header(request: WrittenRequest, flag: str, value: str, notes: list[str]) -> None:
    if (flag == "--header" and value.startswith("@")) or (flag == "--cookie" and "=" not in value):
        notes.append(f"{value[:60]} is a file, which is not read here: write out what it holds.")
        return
    if flag == "--cookie":
        request.cookies.append(value)
        value = "; ".join(request.cookies)
    name, written = _HEADER_FLAGS[flag]
    key, _, text = value.partition(":") if flag == "--header" else (name, "", written(value))
    request.set_header(key.strip(), text.strip())


_HEADER_FLAGS: dict[str, tuple[str, Callable[[str], str]]] = {
    "--header": ("", str),
    "--cookie": ("Cookie", str),
    "--user-agent": ("User-Agent", str),
    "--referer": ("Referer", str),
    "--oauth2-bearer": ("Authorization", lambda value: f"Bearer {value}"),
    "--user": ("Authorization", lambda value: f"Basic {_login(value)}"),
}


def _login(value: str) -> str:
    """Return name and password as they are sent; curl asks for one that is not there."""
    return b64encode((value if ":" in value else f"{value}:").encode()).decode()


def _take_part(request: WrittenRequest, flag: str, value: str, notes: list[str]) -> None:
    """Take a part of a multipart body: `photo=@a.png;type=image/png;filename=b.png`."""
    name, _, text = value.partition("=")
    if flag == "--form-string":
        request.parts.append((name, text))
        return
    words = [(key, _unquoted(word)) for key, word in _OF_PART.findall(text)]
    content, given = "".join(words[0]), {key: word for key, word in words[1:] if key or word}
    if content.startswith("@"):
        filename = given.pop("filename=", "") or PureWindowsPath(content[1:]).name
        request.add_file(name, filename, given.pop("type=", ""), notes)
    elif content.startswith("<"):
        request.parts.append((name, ""))
        notes.append(
            f"{content[:60]} is a file, which is not read here: put its text into the body."
        )
    else:
        request.parts.append((name, content))
    notes += (f"-F {name[:40]}: {key}{word[:60]} is left out." for key, word in given.items())


def _unquoted(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word.startswith('"') else word


def _take_data(request: WrittenRequest, flag: str, value: str, notes: list[str]) -> None:
    if flag == "--json":
        request.media_type = JSON_TYPE
        if "accept" not in map(str.lower, request.headers):
            request.headers["Accept"] = JSON_TYPE
    name, equals, text = value.partition("=")
    of_file = flag == "--data-urlencode" and not equals and "@" in value
    if of_file or (value.startswith("@") and flag != "--data-raw"):
        notes.append(f"{value[:60]} is a file, which is not read here: put its text into the body.")
    elif flag == "--data-urlencode":
        written = quote(text if equals else name, safe="")
        request.data.append(f"{name}={written}" if equals and name else written)
    else:
        request.data.append(value)
