"""Where outputs may come from: the host that is checked is the one that everything else reads in the URL."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests import Request
from urllib3.util import parse_url

from airflow_provider_segmind.api.hosts import is_loopback_host
from airflow_provider_segmind.api.media_url import MediaRules, read_location_header
from airflow_provider_segmind.exceptions import OutputRefusedError

PUBLIC = MediaRules()
EMULATED = MediaRules(loopback=True)
PRIVATE = MediaRules(private=True)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "localhost",
            "LocalHost",
            "localhost.",
            "a.localhost",
            "127.0.0.1",
            "127.8.8.8",
            "127.1",
            "0x7f.1",
            "::1",
        ),
        *("[::1]", "::ffff:127.0.0.1", "2130706433", "127.0.0.1."),
    ],
)
def test_this_machine_is_recognised(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.evil.test",
            "127.0.0.1.evil.test",
            "localhost.evil.test",
            "notlocalhost",
            "127",
            "128.0.0.1",
            "",
            "::2",
        ),
        *("64:ff9b::7f00:1", "2002:7f00:1::", "::7f00:1", "0.0.0.1", "127.0.0.256", "10.0.0.1"),
    ],
)
def test_other_machines_are_not_this_one(host: str) -> None:
    assert not is_loopback_host(host)


PRIVATE_ADDRESSES = [
    "0.0.0.0",  # noqa: S104 - nothing binds to it
    *("0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.255.254"),
    *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.8", "192.0.0.9", "192.0.0.170"),
    *("192.0.0.200", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1"),
    *("203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::7f00:1", "::a9fe:a9fe", "::808:808", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
    *("::ffff:0:7f00:1", "::ffff:0:808:808", "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1"),
    *("64:ff9b::", "64:ff9b:1::1", "64:ff9b:1::808:808", "64:ff9b:1:ffff::8.8.8.8", "64:ff9b::1:808:808"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:c0a8:1::1", "2002:a00:1::", "2002::", "2002:808:808::1"),
    *("2001::1", "2001:0:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:10::1", "2001:20::1"),
    *("2001:2::1", "2001:db8::1", "3fff::1", "5f00::1", "100::1", "100:0:0:1::1", "3ffe::1"),
    *("2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:127.0.0.1", "2606:4700::100:5efe:169.254.169.254"),
    *("fe80::5efe:8.8.8.8", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "fe80::1%1", "febf::1"),
    *("fec0::1", "feff::1", "ff02::1", "ff0e::1", "4000::1", "a000::1"),
]
PUBLIC_ADDRESSES = [
    *(
        "8.8.8.8",
        "1.1.1.1",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "198.20.0.1",
    ),
    *("2606:4700::1111", "2001:4860:4860::8888", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
    *("2606:4700::5efe:8.8.8.8", "2003::5eff:10.0.0.1"),
]


@pytest.mark.parametrize("address", PRIVATE_ADDRESSES)
def test_addresses_that_are_not_public(address: str) -> None:
    with pytest.raises(OutputRefusedError, match="allow_private_media"):
        PUBLIC.check_address(address, "req-1")
    PRIVATE.check_address(address)


@pytest.mark.parametrize("address", [each for each in PRIVATE_ADDRESSES if "%" not in each])
def test_the_same_addresses_in_a_url(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(OutputRefusedError, match="req-1"):
        PUBLIC.check_url(f"https://{host}/a.mp4", "req-1")


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_addresses_that_are_public(address: str) -> None:
    PUBLIC.check_address(address)
    host = f"[{address}]" if ":" in address else address
    assert PUBLIC.check_url(f"https://{host}/a.mp4")


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_what_python_knows_to_be_private_is_refused(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if not address.is_global or address.is_multicast:
        with pytest.raises(OutputRefusedError):
            PUBLIC.check_address(str(address))


@pytest.mark.parametrize("address", ["", "nonsense", "1.2.3.4.5", "[", "::g"])
def test_what_is_not_an_address_is_refused(address: str) -> None:
    with pytest.raises(OutputRefusedError):
        PRIVATE.check_address(address)


def test_plain_http_is_for_loopback_addresses_alone() -> None:
    rules = MediaRules(loopback=True, private=True)
    rules.check_address("10.0.0.1")
    rules.check_address("127.0.0.1", plain=True)
    for address in ("10.0.0.1", "8.8.8.8", "::ffff:10.0.0.1", "64:ff9b::7f00:1"):
        with pytest.raises(OutputRefusedError):
            rules.check_address(address, plain=True)


@pytest.mark.parametrize(
    "host",
    [
        *("0x7f.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0X7F000001", "017700000001", "0177.0.0.1"),
        *("127.0.0.1.", "0x7f.0x0.0x0.0x1", "127.0.0.0x1", "0", "0x0", "0x", "10.1", "192.168.257", "0xa9fea9fe"),
        *("\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021", "\u2460\u2461\u2466.0.0.1", "l\u00adocalhost"),
        *("localhost", "localhost.", "LOCALHOST", "foo.localhost", "foo.localhost.", "\uff4cocalhost"),
        *(
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:0x7f.1]",
            "[::1%25lo]",
            "[::1%lo]",
        ),
        *("127.0.0.1%2f", "%6c%6f%63%61%6c%68%6f%73%74", "%31%32%37.0.0.1", "127.0.0.%31", "[v1.a]", "[]", "[1]"),
        *("256.256.256.256", "1.2.3.4.5", "example.1", "example.0x1f", "example.09", "08.8.8.8", "1.2.3.4.0x5"),
        *("8.8.8.8.0", "99999999999", "4294967296", "1..1", ".1", "a..b", ".", "..", "a.b..", "-", "a b.test"),
        *("printer", "printer.local", "metadata.google.internal", "nas.lan", "router.home.arpa", "INTRANET.CORP"),
        *("printer.local.", "a_b", "x" * 64 + ".test", ".".join(["abcdefgh"] * 32), "\u00fc" * 300 + ".test"),
        *("a^b.test", "a|b.test", "a<b.test", "a\u2100b.test", "\ud800.test", "a*b.test", "a'b.test"),
    ],
)
def test_hosts_that_a_proxy_may_not_be_asked_for(host: str) -> None:
    with pytest.raises(OutputRefusedError, match="req-1"):
        PUBLIC.check_url(f"https://{host}/a.mp4", "req-1")
    with pytest.raises(OutputRefusedError, match="req-1"):
        PUBLIC.check_url(f"https://{host}:8443/a.mp4", "req-1")


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://user@images.test/",
            "https://user:pass@images.test/",
            "https://@images.test/",
            "https://:@images.test/",
        ),
        *(
            "https://images.test@127.0.0.1/",
            "https://127.0.0.1\\@images.test/",
            "https://images.test\\.evil.test/",
        ),
        *(
            "https:\\\\images.test/",
            "https://images.test\t.evil.test/",
            "https://images.test\n/",
            "ht\ntps://a.test/",
        ),
        *("https://images.test\x00.evil.test/", "https://images.test /", "https://images.test#@127.0.0.1:x/"),
        *("https:images.test/", "https:/images.test/", "https:///images.test/", "//images.test/", "/a", "", " "),
        *(
            "https://images.test:0/",
            "https://images.test:65536/",
            "https://images.test:x/",
            "https://images.test:-1/",
        ),
        *(
            "https://images.test:+443/",
            "https://images.test:4 43/",
            "https://images.test:\u0661/",
            "https://a.test:1:2/",
        ),
        *(
            "https://images.test:\u00b2/",
            "https://[::1/",
            "https://::1]/",
            "https://2606:4700::1/",
            "https://[a]b.test/",
        ),
        *(
            "file:///etc/passwd",
            "gopher://images.test/",
            "javascript:alert(1)",
            "data:video/mp4,x",
            "ws://images.test/",
        ),
        *(
            "https://[2606:4700::1]x/",
            "https://x[2606:4700::1]/",
            "https://a.test/\ud800",
            "https://a.test/\\..\\b",
        ),
    ],
)
def test_urls_that_can_be_read_in_two_ways(url: str) -> None:
    for rules in (PUBLIC, EMULATED, PRIVATE):
        if url == "https://images.test#@127.0.0.1:x/":
            assert rules.check_url(url) == "https://images.test"  # a fragment, for every parser
            continue
        with pytest.raises(OutputRefusedError, match="req-1") as caught:
            rules.check_url(url, "req-1")
        assert "pass" not in str(caught.value).replace("/etc/passwd", "")


def test_a_login_does_not_reach_a_message() -> None:
    for url in (
        "https://me:s3cret@a.test/",
        "https://me:s3?cret@a.test/",
        "http://me:s3#cret@a.test/",
        "x:s3cret@",
    ):
        with pytest.raises(OutputRefusedError) as caught:
            PUBLIC.check_url(url, "req-1")
        assert "s3" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://images.test", "https://images.test"),
        ("https://images.test:8443/a?b=%2F+%7e&c#d", "https://images.test:8443/a?b=%2F+%7e&c"),
        ("HTTPS://Images.TEST/A", "https://images.test/A"),
        (" https://images.test/a\n", "https://images.test/a"),
        ("https://images.test./a", "https://images.test./a"),
        ("https://images.test:/a", "https://images.test/a"),
        (
            "https://b\u00fccher.test/\u00fc b.mp4?q=\u00fc x",
            "https://xn--bcher-kva.test/%C3%BC%20b.mp4?q=%C3%BC%20x",
        ),
        ("https://fa\u00df.test/", "https://xn--fa-hia.test/"),
        ("https://xn--bcher-kva.test/%C3%BC%20%zz100%", "https://xn--bcher-kva.test/%C3%BC%20%25zz100%25"),
        ("https://my_bucket.s3.test/a;b=c,d/[e]/(f)/~g/@h", "https://my_bucket.s3.test/a;b=c,d/[e]/(f)/~g/@h"),
        ("https://134744072/a", "https://8.8.8.8/a"),
        ("https://[2606:4700:0:0::1]/a", "https://[2606:4700::1]/a"),
        ("https://127.evil.test/", "https://127.evil.test/"),
        ("https://0x7f.1.test/", "https://0x7f.1.test/"),
        ("https://images.test?a", "https://images.test?a"),
    ],
)
def test_urls_are_written_in_one_way(url: str, same: str) -> None:
    assert PUBLIC.check_url(url) == same
    assert PUBLIC.check_url(same) == same


@given(st.text(st.characters(exclude_categories=[]), max_size=12), st.sampled_from(["", "/a", "?a", ":1/"]))
def test_all_parsers_see_the_host_that_was_checked(host: str, rest: str) -> None:
    try:
        checked = MediaRules(loopback=True, private=True).check_url(f"https://{host}{rest}")
    except OutputRefusedError:
        return
    seen = urlsplit(checked).hostname
    prepared = Request("GET", checked).prepare().url
    assert checked.isascii()
    assert {parse_url(checked).host, urlsplit(prepared).hostname, parse_url(prepared or "").host} <= {
        seen,
        f"[{seen}]",
    }


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b.mp4", "https://images.test:8443/b.mp4"),
        ("b.mp4", "https://images.test:8443/a/b.mp4"),
        ("?x=1", "https://images.test:8443/a/a.mp4?x=1"),
        ("//cdn.test/b", "https://cdn.test/b"),
        ("https://cdn.test:9443/b;v=1#t=2", "https://cdn.test:9443/b;v=1"),
        ("https://b\u00fccher.example/\u00fc", "https://xn--bcher-kva.example/%C3%BC"),
        ("/a b/%20/%C3%BC", "https://images.test:8443/a%20b/%20/%C3%BC"),
        ("  /b ", "https://images.test:8443/b"),
        ("/c\u00e0", "https://images.test:8443/c%C3%A0"),
    ],
)
def test_where_a_redirect_leads(location: str, target: str) -> None:
    assert PUBLIC.check_redirect("https://images.test:8443/a/a.mp4", location) == target


@pytest.mark.parametrize(
    "location",
    [
        *(
            "http://images.test/b",
            "//127.1/b",
            "https://0x7f.1/",
            "https://[",
            "/\\evil.test",
            "\\\\evil.test/",
            "file:///a",
        ),
        *("https://user@evil.test/", "//[::1]/", "https://localhost/", "//\u2488.test\\@evil"),
    ],
)
def test_where_no_redirect_may_lead(location: str) -> None:
    with pytest.raises(OutputRefusedError, match="req-1"):
        PUBLIC.check_redirect("https://images.test/a.mp4", location, "req-1")


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (b"/plain", "/plain"),
        ("/\u00fc/\u4f60".encode(), "/\u00fc/\u4f60"),
        (b"/b\xfccher", "/b%FCcher"),
        ("https://b\u00fccher.example/".encode(), "https://b\u00fccher.example/"),
    ],
)
def test_a_location_is_utf_8(sent: bytes, text: str) -> None:
    assert read_location_header(sent.decode("latin-1")) == text
    assert read_location_header("/\u4f60") == "/\u4f60"
