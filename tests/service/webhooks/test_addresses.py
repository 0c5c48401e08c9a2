"""Which URLs may be called at all, and which addresses they may lead to."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import WebhookRefused
from service.settings import Settings
from service.webhooks.addresses import Allowance, allowed_addresses, is_allowed, parse_target
from tests.service.webhooks.receivers import words

PUBLIC = Allowance()
LISTED = Allowance(frozenset({"relay", "hooks.internal"}), frozenset({"relay"}))


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("https://hooks.example.com", "hooks.example.com", "/"),
        ("HTTPS://Hooks.Example.COM/In?a=1&b=%2F", "hooks.example.com", "/In?a=1&b=%2F"),
        ("https://hooks.example.com:8443/a/b", "hooks.example.com:8443", "/a/b"),
        ("https://hooks.example.com:443", "hooks.example.com", "/"),
        ("https://hooks.example.com?token=x", "hooks.example.com", "/?token=x"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", "/"),
        ("https://93.184.215.14/", "93.184.215.14", "/"),
        ("https://[2606:4700::1111]:8443/", "[2606:4700::1111]:8443", "/"),
    ],
)
def test_a_public_host_by_https_may_be_called(url: str, authority: str, path: str) -> None:
    target = parse_target(url, PUBLIC)
    assert (target.scheme, target.authority, target.path) == ("https", authority, path)
    assert parse_target(target.url, PUBLIC) == target


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com",
        "//hooks.example.com/",
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "https:hooks.example.com",
        "https:///hooks.example.com",
        "https://hooks.example.com#a",
        "https://hooks.example.com/a#b",
        "https://user@hooks.example.com/",
        "https://user:pass@hooks.example.com/",
        "https://hooks.example.com\\@inside/",
        "https://hooks.example.com /",
        " https://hooks.example.com/",
        "https://hooks.example.com/\n",
        "https://hooks.example.com/\r\nHost: inside",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:65536/",
        "https://hooks.example.com:4 43/",
        "https://hooks.example.com.",
        "https://.hooks.example.com",
        "https://hooks..example.com",
        "https://-hooks.example.com",
        "https://hooks_a.example.com",
        "https://bücher.example",
        "https://example",
        "https://" + "a" * 64 + ".example",
        "https://" + "a." * 130 + "example",
        "https://hooks.example.com/" + "a" * 2000,
    ],
)
def test_what_is_no_plain_https_url_of_a_public_name_is_refused(url: str) -> None:
    with pytest.raises(WebhookRefused):
        parse_target(url, PUBLIC)


def test_where_the_operator_lists_hosts_only_those_are_called() -> None:
    assert parse_target("http://relay:8080/in", LISTED).is_listed
    assert parse_target("https://hooks.internal/in", LISTED).is_listed
    for url in ("https://hooks.example.com/", "http://hooks.internal/", "http://other/"):
        with pytest.raises(WebhookRefused):
            parse_target(url, LISTED)


def test_the_operator_writes_hosts_with_commas_or_in_json() -> None:
    wanted = Allowance(frozenset({"relay", "hooks.internal"}), frozenset({"relay"}))
    for text in ("http://relay, Hooks.internal", '["http://relay", "hooks.internal"]'):
        assert Allowance.of(Settings(webhook_hosts=text)) == wanted
    assert Allowance.of(Settings()) == PUBLIC


NOT_PUBLIC = words("""
    127.0.0.1 127.255.255.254 10.1.2.3 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 169.254.169.254
    168.63.129.16 0.0.0.0 0.1.2.3 192.0.0.8 192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.7 203.0.113.9
    224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:93.184.215.14 64:ff9b::7f00:1 64:ff9b:1::a00:1 100::1 2001::1
    2001:db8::1 2001:20::1 2002:7f00:1::1 2002:5db8:d70e::1 3fff::1 5f00::1
    fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1
""")


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_a_host_at_an_address_that_is_not_public_is_refused(address: str) -> None:
    target = parse_target("https://hooks.example.com/", PUBLIC)
    for found in ([address], ["93.184.215.14", address]):
        with pytest.raises(WebhookRefused):
            allowed_addresses(target, lambda _host, _port, found=found: found)


def test_a_name_that_leads_nowhere_is_refused_with_the_same_words() -> None:
    target = parse_target("https://hooks.example.com/", PUBLIC)
    with pytest.raises(WebhookRefused) as nowhere:
        allowed_addresses(target, lambda _host, _port: [])
    with pytest.raises(WebhookRefused) as inside:
        allowed_addresses(target, lambda _host, _port: ["10.0.0.1"])
    assert str(nowhere.value) == str(inside.value)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.7", "::1", "fd12::1", "93.184.215.14"])
def test_a_listed_host_may_lie_inside(address: str) -> None:
    assert is_allowed(ip_address(address), is_listed=True)


NOBODY_S = words("169.254.169.254 fd00:ec2::254 fe80::1 0.0.0.0 224.0.0.1 ::")


@pytest.mark.parametrize("address", NOBODY_S)
def test_not_even_a_listed_host_may_lead_to_the_cloud_s_own_addresses(address: str) -> None:
    assert not is_allowed(ip_address(address), is_listed=True)


@given(st.integers(0, 2**32 - 1).map(IPv4Address) | st.integers(0, 2**128 - 1).map(IPv6Address))
def test_whatever_is_allowed_is_global_by_the_standard_library_too(
    address: IPv4Address | IPv6Address,
) -> None:
    assert not is_allowed(address) or (address.is_global and not address.is_multicast)


@given(
    st.sampled_from([ip_network(n) for n in ("8.0.0.0/8", "151.0.0.0/8", "2606:4700::/32")]),
    st.integers(0, 2**24 - 1),
)
def test_ordinary_public_addresses_are_allowed(network, offset: int) -> None:  # type: ignore[no-untyped-def]
    assert is_allowed(network[offset])
