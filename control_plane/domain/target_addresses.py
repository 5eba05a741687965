"""Addresses of servers that somebody else started: their form, and which of them may be asked.

Those of this machine always may, others where the settings allow them.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from control_plane.domain.errors import FieldError

ALLOWED_TARGETS = "LOOPLAB_ALLOWED_TARGETS"
"""The setting that allows targets elsewhere."""

_ENTRY = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>\d{1,5}))?")
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9_])?")
_LOCALHOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.){0,60}localhost")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)")
"""A name that systems take for an address in another spelling: 2130706433, 0x7f.1, 127.1."""

_WIDEST = {4: 16, 6: 64}
"""The shortest prefix of a network that is allowed as a whole, by the version of IP."""

_HOST = re.compile(
    r"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253})|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{1,5}))?"
)

Address = IPv4Address | IPv6Address

_CLOSED = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            # Where clouds tell secrets: Alibaba, Azure, Oracle, AWS, Google, Scaleway.
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fd00:ec2::/32",
            "fd20:ce::254",
            "fd00:42::42",
            # What holds an address of IPv4: compatible, NAT64, Teredo, 6to4.
            "::/96",
            "64:ff9b::/96",
            "64:ff9b:1::/48",
            "2001::/32",
            "2002::/16",
        ),
    )
)
"""Networks that no load goes to, beside those that ipaddress tells."""


@dataclass(frozen=True)
class AllowedTarget:
    """What the settings allow: `host` is a name or a network. `port` None: each of its ports."""

    host: str | IPv4Network | IPv6Network
    port: int | None = None

    def covers(self, host: str, port: int) -> bool:
        """Return whether this is one of them, as it is typed: no name is looked up."""
        return self.port in {None, port} and self.is_host(host)

    def is_host(self, host: str) -> bool:
        """Return whether this is its host, or one of its network, whatever the port."""
        if isinstance(self.host, str):
            return host == self.host
        address = _address(host)
        return address is not None and address in self.host


def allowed_target(text: str) -> AllowedTarget:
    """Read a name, an address or a network, with or without a port; IPv6 stands in brackets.

    Raises ValueError.
    """
    found = _ENTRY.fullmatch(text)
    if found is None or not 0 < int(found["port"] or 1) < 65_536:
        raise ValueError(_no_target(text))
    port = int(found["port"]) if found["port"] else None
    written = found["six"] or found["host"]
    try:
        network = ip_network(written)
    except ValueError:
        if found["six"] or not _NAME.fullmatch(written) or _ENDS_IN_NUMBER.fullmatch(written):
            raise ValueError(_no_target(text)) from None
        return AllowedTarget(written, port)
    if bool(found["six"]) != (network.version == 6):
        raise ValueError(_no_target(text))
    if network.prefixlen < _WIDEST[network.version]:
        raise ValueError(f"{written} is too wide: give /{_WIDEST[network.version]} or narrower")
    if not _of_one_machine(network.network_address):
        raise ValueError(f"{written} is where no load may go")
    return AllowedTarget(network, port)


def _no_target(text: str) -> str:
    forms = "shop.example, shop.example:8000, 10.0.0.5, 10.0.0.0/24 or [fd00::5]:8000"
    return f"{text[:60]} is no target: give {forms}"


def is_here(url: str) -> bool:
    """Return whether the server of a URL is on this machine."""
    host = urlsplit(url).hostname or ""
    address = _address(host)
    return is_localhost(host) or (address is not None and may_connect(address, here=True))


def is_localhost(host: str) -> bool:
    """Return whether a name is `localhost` or one below it, which are loopback by RFC 6761, 6.3."""
    return _LOCALHOST.fullmatch(host) is not None


def may_be_asked(url: str, allowed: Collection[AllowedTarget]) -> bool:
    """Return whether load may go to the server of a URL, by the host that is typed there."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", port_of(parts)
    return is_here(url) or any(target.covers(host, port) for target in allowed)


def may_connect(address: Address, *, here: bool) -> bool:
    """Return whether load may go to the address of a host that may be asked.

    `here`: of a host of this machine. Addresses of groups, of no machine, of the link and others
    where clouds tell secrets, and those of IPv4 in a form of IPv6, are none of either.
    """
    if getattr(address, "ipv4_mapped", None) is not None:
        return False
    return address.is_loopback or (not here and _of_one_machine(address))


def _of_one_machine(address: Address) -> bool:
    return address.is_loopback or not (
        address.is_multicast
        or address.is_unspecified
        or address.is_link_local
        or address.is_reserved
        or getattr(address, "is_site_local", False)
        or any(address in network for network in _CLOSED)
    )


def port_of(parts: SplitResult) -> int:
    """Return the port of a URL, that of its scheme where it names none."""
    return parts.port or (443 if parts.scheme == "https" else 80)


def not_allowed(url: str, allowed: Collection[AllowedTarget]) -> str:
    """Return what is said of the server of a URL that may not be asked."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", port_of(parts)
    ports = sorted(target.port for target in allowed if target.port and target.is_host(host))
    if ports:
        listed = ", ".join(map(str, ports))
        remedy = f"give {'that' if len(ports) == 1 else 'one of them'}, or allow {port} as well"
        return f"{host[:60]} is allowed at port {listed}, not {port}: {remedy} ({ALLOWED_TARGETS})."
    remedy = f"give localhost or 127.0.0.1, or allow it by {ALLOWED_TARGETS}"
    return f"{host[:60]} is not on this machine: {remedy}."


def wrong_host(host: str) -> str:
    """Return what is wrong with a Host header; empty where it is name or address and port."""
    found = _HOST.fullmatch(host)
    if found is None or not 0 < int(found[1] or 1) < 65_536:
        return f"{host[:40]!r} is no Host: write a name with or without a port, such as localhost."
    return ""


def wrong_url(field: str, url: str, allowed: Collection[AllowedTarget]) -> Iterator[FieldError]:
    """Find what is wrong with the URL of a target."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        yield FieldError(field, "This is not a URL of the form http://127.0.0.1:9000.")
        return
    if parts.scheme.endswith("unix") or url.startswith("/"):
        yield FieldError(
            field,
            "Unix sockets cannot be measured: let the server listen on an address, such as "
            "http://127.0.0.1:9000.",
        )
    elif parts.scheme not in {"http", "https"} or not parts.hostname:
        yield FieldError(field, "Give scheme and host: http://127.0.0.1:9000.")
    elif (
        parts.username is not None
        or parts.path not in {"", "/"}
        or parts.query
        or parts.fragment
        or url.rstrip("/").endswith(("?", "#", ":"))
    ):
        yield FieldError(field, "Give only scheme, host and port, such as http://127.0.0.1:9000.")
    elif port == 0:
        yield FieldError(field, "Port 0 cannot be connected to.")
    elif not may_be_asked(url, allowed):
        yield FieldError(field, not_allowed(url, allowed))
    else:
        yield from _unverified(field, url)


def _unverified(field: str, url: str) -> Iterator[FieldError]:
    if url.lower().startswith("https:") and not is_here(url):
        yield FieldError(
            field,
            "No certificate is checked, so that whoever answers elsewhere would get what is sent: "
            "give http://, or measure it on its own machine.",
        )


def _address(host: str) -> Address | None:
    """Return the address that a host is in its plain form; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None
