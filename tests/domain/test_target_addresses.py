"""Which servers may be asked. Nothing here looks a name up or connects."""

from ipaddress import ip_address

import pytest

from control_plane.domain.target_addresses import (
    allowed_target,
    is_here,
    may_be_asked,
    may_connect,
    wrong_url,
)

ALLOWED = tuple(
    map(
        allowed_target,
        ("bench.test:8000", "any.test", "192.0.2.7", "198.51.100.0/24", "[2001:db8::5]:9000"),
    )
)


@pytest.mark.parametrize("url", [
    "http://bench.test:8000", "HTTP://Bench.TEST:8000", "http://any.test", "http://any.test:1",
    "http://192.0.2.7", "http://192.0.2.7:9", "http://198.51.100.255:80",
    "http://[2001:db8::5]:9000", "http://[2001:0db8:0::0005]:9000", "http://localhost:3",
    "http://127.0.0.1", "http://[::1]", "http://shop.localhost:9000", "http://A.b-c.LocalHost",
])  # fmt: skip
def test_what_is_allowed_may_be_asked(url: str) -> None:
    assert may_be_asked(url, ALLOWED)
    assert not list(wrong_url("target.url", url, ALLOWED))
    assert may_be_asked(url, ()) == is_here(url)


@pytest.mark.parametrize("url", [
    "http://bench.test", "http://bench.test:8001", "http://bench.test.:8000", "http://x.any.test",
    "http://{n}.any.test", "http://any.test{n}", "http://192.0.2.8", "http://198.51.101.0",
    "http://[2001:db8::5]", "http://[2001:db8::6]:9000",
    # 192.0.2.7 and 127.0.0.1 in other spellings, which systems would resolve.
    "http://3221225991", "http://0xc0000207", "http://0300.0.2.7", "http://192.0.519",
    "http://192.000.002.007", "http://[::ffff:192.0.2.7]", "http://[::ffff:c000:207]",
    "http://2130706433", "http://0x7f.1", "http://127.1", "http://[::ffff:127.0.0.1]",
    "http://{n}.localhost", "http://.localhost", "http://a..localhost", "http://shop.localhost.",
    "http://shoplocalhost", "http://localhost.test", "http://-a.localhost",
    "http://0.0.0.0", "http://[::]", "http://169.254.169.254", "http://224.0.0.1",
])  # fmt: skip
def test_nothing_else_may(url: str) -> None:
    assert not may_be_asked(url, ALLOWED)
    (error,) = wrong_url("target.url", url, ALLOWED)
    assert "LOOPLAB_ALLOWED_TARGETS" in error.message


def test_tls_is_measured_here_alone() -> None:
    assert not list(wrong_url("target.url", "https://localhost", ALLOWED))
    (error,) = wrong_url("target.url", "https://any.test", ALLOWED)
    assert "certificate" in error.message


@pytest.mark.parametrize("address", [
    "0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "169.254.169.254", "::", "ff02::1",
    "fe80::1", "fe80::1%eth0", "::ffff:127.0.0.1", "::ffff:192.0.2.7", "64:ff9b::a9fe:a9fe",
    "0.0.0.1", "fec0::1", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16",
    "2002:a9fe:a9fe::1", "2001:0:a9fe::1", "64:ff9b:1::a9fe:a9fe", "::192.0.2.7",
])  # fmt: skip
def test_addresses_that_no_name_may_lead_to(address: str) -> None:
    assert not may_connect(ip_address(address), here=True)
    assert not may_connect(ip_address(address), here=False)


def test_a_port_that_is_not_allowed_is_told_with_those_that_are() -> None:
    allowed = [allowed_target(text) for text in ("shop.test:8001", "shop.test:8000", "10.0.0.0/24")]
    (error,) = wrong_url("target.url", "http://shop.test:9000", allowed)
    assert error.message == (
        "shop.test is allowed at port 8000, 8001, not 9000: give one of them, or allow 9000 as "
        "well (LOOPLAB_ALLOWED_TARGETS)."
    )
    for url in ("http://other.test:8000", "http://10.0.1.1"):
        (error,) = wrong_url("target.url", url, allowed)
        assert "is not on this machine: give localhost" in error.message


@pytest.mark.parametrize("address", ["192.0.2.7", "10.0.0.1", "2001:db8::5", "fd00::5"])
def test_a_name_of_this_machine_leads_to_no_other(address: str) -> None:
    assert may_connect(ip_address(address), here=False)
    assert not may_connect(ip_address(address), here=True)
    assert may_connect(ip_address("127.0.0.9"), here=True)


@pytest.mark.parametrize(("text", "said"), [
    ("", "no target"), ("*", "no target"), ("http://a.test", "no target"),
    ("a.test/x", "no target"), ("a.test:0", "no target"), ("a.test:65536", "no target"),
    ("a.test:", "no target"),
    ("a b", "no target"), ("a@b.test", "no target"), ("{n}.test", "no target"),
    ("2001:db8::5", "no target"), ("[10.0.0.5]", "no target"), ("[a.test]", "no target"),
    ("2130706433", "no target"), ("127.1", "no target"), ("0x7f.0x1", "no target"),
    ("010.0.0.5", "no target"), ("10.0.0.5/24", "no target"),
    ("0.0.0.0/0", "too wide"), ("10.0.0.0/8", "too wide"), ("[fd00::/48]", "too wide"),
    ("0.0.0.0", "where no load may go"), ("169.254.0.0/16", "where no load may go"),
    ("[::ffff:10.0.0.5]", "where no load may go"), ("224.0.0.1", "where no load may go"),
    ("168.63.129.16", "where no load may go"), ("[2002::]", "where no load may go"),
])  # fmt: skip
def test_what_cannot_be_allowed_is_told(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        allowed_target(text)
