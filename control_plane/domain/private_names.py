"""Names that are not for everybody, as texts and runs tell them: of hosts, files and programs."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from control_plane.domain.run import Run
from control_plane.domain.spec_json import write_spec

HIDDEN_PATH = "(hidden path)"
HIDDEN_CONTENT = "(hidden)"
HIDDEN_HOST = "hidden-host"

_ROOTS = frozenset(
    (
        *("Users", "app", "bin", "boot", "builds", "code", "data", "dev", "etc", "home", "lib"),
        *("lib64", "media", "mnt", "nix", "opt", "private", "proc", "root", "run", "sbin", "snap"),
        *("srv", "sys", "tmp", "usr", "var", "work", "workspace"),
    )
)
_URL = re.compile(
    r"(?P<before>\b[a-z][a-z+]*://(?:[^\s/@]*@)?)(?P<host>\[[^\]\s]+\]|[^\s/:?#\"'<>]+)",
    re.IGNORECASE,
)
_USER = re.compile(r"(?<=://)[^\s/@\"'<>]+@")
_SECRET = re.compile(
    r"(\b(?:bearer|basic)\s+(?=\S*[\d=])"
    r"|\bauthorization\s*[=:]\s*(?:(?:basic|bearer|digest|token|negotiate)\s+|(?=\S*\d))"
    r"|(?<=[?&;])(?:sig|auth)="
    r"|(?<![a-z0-9])(?:password|passwd|secret|token|jwt|signature|session[-_]?id"
    r"|(?:api|access|private)[-_]?key)\s*[=:]\s*)"
    r"[^\s,;&\"'(){}<>]{6,}",
    re.IGNORECASE,
)
_ADDRESS = r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])"
_GROUP = "[0-9a-f]{1,4}"
_LONG_ADDRESS = (
    rf"(?<![\w:.])(?:(?:{_GROUP}:){{7}}{_GROUP}"
    rf"|[0-9a-f]{{2,4}}(?::{_GROUP})*::(?:{_GROUP}(?::{_GROUP})*)?)(?![\w:])"
)
_DOMAIN = (
    r"(?<![\w.-])(?!threading\.local\b)(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+"
    r"(?:(?:com|net|org|edu|gov|example|internal|intranet|local|localdomain|lan|corp)(?![\w-])"
    # Modules are called so as well, with names of what they hold behind them.
    r"|(?:ae|ai|arpa|au|biz|br|ca|ch|cloud|cn|co|cz|de|(?<!settings\.)dev|dk|es|eu|fi|fr|hu|ie|il"
    r"|io|jp|kr|mx|nl|nz|pl|pt|ro|ru|se|sg|tech|tr|ua|uk|za)(?![\w-]|\.\w))"
)
_BARE_HOST = re.compile(f"{_ADDRESS}|{_LONG_ADDRESS}|{_DOMAIN}", re.IGNORECASE)
_MAIL = re.compile(
    r"(?:\bmailto:|(?<![\w.+/:@-]))[\w.+-]{1,64}@(?:[a-z0-9-]+\.)+[a-z]+", re.IGNORECASE
)
_TELLING = re.compile(r"[0-9.-]")
"""A name without one of these is a word as well, such as that of the service `redis`."""
_LOOPBACK = re.compile(r"localhost|127\.[0-9.]+|\[?::1\]?|0\.0\.0\.0|host-\d+|machine-\d+")
WINDOWS_PATH = re.compile(r"\b[A-Za-z]:\\[^\s\"'<>|]+")
_ANY_PATH = re.compile(r"(?:file://|~)?(?<![\w.:-])(?:/[^\s/\"'`,:;()\[\]<>]+){2,}/?")
SHORTEST_NAME = 2


def name_pattern(names: Iterable[str]) -> re.Pattern[str] | None:
    """Return what finds any of the names as a whole word; None where there are none."""
    either = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    return re.compile(rf"(?<![\w-])(?:{either})(?![\w-])", re.IGNORECASE) if either else None


def without_secrets(text: str) -> str:
    """Return a text without what gives itself away as a secret: `http://user:…@`, `token=…`."""
    text = _USER.sub(f"{HIDDEN_CONTENT}@", text)
    return _SECRET.sub(rf"\g<1>{HIDDEN_CONTENT}", text)


def without_addresses(text: str) -> str:
    """Return a text without mail addresses, hosts of URLs, and names that only hosts have."""
    text = _MAIL.sub(HIDDEN_CONTENT, text)
    text = _URL.sub(lambda found: f"{found['before']}{_hidden_host(found['host'])}", text)
    return _BARE_HOST.sub(lambda found: _hidden_host(found[0]), text)


def _hidden_host(host: str) -> str:
    return host if _LOOPBACK.fullmatch(host.lower()) or host == HIDDEN_HOST else HIDDEN_HOST


def told_apart(texts: Mapping[str, str]) -> dict[str, str]:
    """Return what each name is hidden as; those that would be one have numbers."""
    hidden = list(texts.values())
    return {
        name: text if hidden.count(text) == 1 else f"{text} {place}"
        for place, (name, text) in enumerate(texts.items(), start=1)
    }


def machines_of(runs: Iterable[Run]) -> Iterator[str]:
    """Yield the names of the machines that measured."""
    for run in runs:
        names = [(run.environment or {}).get("hostname"), run.origin.machine if run.origin else ""]
        yield from (str(name) for name in names if name)


def hosts_of(runs: Iterable[Run]) -> Iterator[str]:
    """Yield the hosts that requests went to, that they named, and that are told of as addresses."""
    for run in runs:
        yield from _told_hosts((run.command, run.environment, write_spec(run.spec)))
        target = run.spec.target
        used = [trial.target for trial in run.trials]
        addresses = [target.url, *(each.address for each in used)]
        named = [target.host, *(each.host for each in used)]
        texts = [found["host"] for text in addresses if (found := _URL.search(text))]
        for text in [*texts, *(host.rpartition(":")[0] or host for host in named if host)]:
            if not _LOOPBACK.fullmatch(text.lower()):
                yield text


def _told_hosts(told: Any) -> Iterator[str]:
    """Yield the hosts of addresses in all texts of a value, but those that may be words."""
    if isinstance(told, str):
        hosts = (found["host"] for found in _URL.finditer(told))
        named = (host for host in hosts if not _LOOPBACK.fullmatch(host.lower()))
        yield from (host for host in named if _TELLING.search(host))
    elif isinstance(told, Mapping):
        yield from _told_hosts(list(told.values()))
    elif isinstance(told, list | tuple):
        for each in told:
            yield from _told_hosts(each)


def programs_of(runs: Iterable[Run]) -> Iterator[str]:
    """Yield the names of the other programs that ran beside targets and clients."""
    for run in runs:
        for trial in run.trials:
            yield from trial.machine.programs if trial.machine else ()


def path_pattern(runs: Iterable[Run]) -> re.Pattern[str]:
    """Return what finds the path of a file in a text that may tell paths of requests as well.

    Those of the specs are left alone, up to their first placeholder.
    """
    roots, requested = set(_ROOTS), set[str]()
    for run in runs:
        roots |= {found[1] for found in re.finditer(r"(?<![\w.-])/([\w.-]+)/", run.command or "")}
        paths = (request.path.partition("?")[0] for _, request in run.spec.requests())
        requested |= {_literal(path) for path in paths if path.strip("/")}
    beginning = rf"(?<![\w/.:-])(?!{'|'.join(sorted(requested)) or '$'})/(?:{_either(roots)})"
    return re.compile(rf"(?:file:/*|~|{beginning})(?:/[^\s/\"'`,:;()\[\]<>]+)+/?")


def _either(words: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, words)))


def _literal(path: str) -> str:
    """Return what finds a path of requests, whole or up to its first placeholder."""
    before, placeholder, _ = path.partition("{")
    return re.escape(before) + ("" if placeholder else r"(?![\w./-])")


def without_file_path(fact: Any) -> Any:
    """Return a fact of the environment, which tells no request: each path is one of a file."""
    if isinstance(fact, str):
        return _ANY_PATH.sub(HIDDEN_PATH, fact)
    if isinstance(fact, list | tuple):
        return [without_file_path(each) for each in fact]
    if isinstance(fact, Mapping):
        return {key: without_file_path(each) for key, each in fact.items()}
    return fact
