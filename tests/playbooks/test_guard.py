import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbooks.effect import action
from playbooks.guard import Guard, protect
from playbooks.values import address, network, service, whole_number
from soc.errors import ContentError, InputError, Refused

TARGET = action("nftables_block").target
GUARD = Guard(
    protect(
        [
            ("192.0.2.1", "the gateway"),
            ("10.0.0.0/24", "the administrators"),
            ("2001:db8::53", "a name server"),
            ("::ffff:198.51.100.5", "the store"),
            ("fe80::1%eth0", "a router"),
        ]
    ),
    ports=frozenset({22}),
    accounts=frozenset({"admin"}),
)

UNUSUAL = [
    "",
    " ",
    "-x",
    "-rf",
    "203.0.113.9\n",
    "203.0.113.9 ",
    " 203.0.113.9",
    "203.0.113.9\x00",
    "203.0.113.9;reboot",
    "$(reboot)",
    "`reboot`",
    "203.0.113.9 }",
    "@address4",
    "203.0.113.9-203.0.113.20",
    "203.0.113.9, 203.0.113.10",
    "0x7f.1",
    "0x7f000001",
    "2130706433",
    "127.1",
    "0177.0.0.1",
    "010.0.0.1",
    "1.2.3",
    "1.2.3.4.5",
    "٢٠٣.0.113.9",
    "２０３.0.113.9",
    "203。0。113。9",
    "::ffff:10.0.0.1",
    "::ffff:0a00:1",
    "::10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::1",
    "fe80::1%eth0",
    "::1%lo",
    "[2001:db8::1]",
    "203.0.113.0/33",
    "203.0.113.0/024",
    "203.0.113.0/255.255.255.0",
    "203.0.113.0/-1",
    "203.0.113.9/24",
    "203.0.113.0/٢٤",
    "0.0.0.0/0",
    "::/0",
    "localhost",
    "tcp/0",
    "tcp/65536",
    "tcp/080",
    "tcp/-1",
    "tcp/22\n",
    "icmp/1",
    "tcp/８０",
    "tcp/1-1024",
]


@pytest.mark.parametrize("text", UNUSUAL, ids=repr)
def test_an_unusual_spelling_is_refused_and_not_repaired(text: str) -> None:
    with pytest.raises(InputError):
        TARGET({"target": text})


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.1",
        "192.0.2.1/32",
        "192.0.2.0/24",
        "192.0.0.0/2",
        "128.0.0.0/1",
        "10.0.0.77",
        "10.0.0.0/25",
        "10.0.0.0/8",
        "198.51.100.5",
        "198.51.100.4/30",
        "2001:db8::53",
        "2001:DB8:0:0:0:0:0:53",
        "2001:0db8:0000::0053/128",
        "2001:db8::/32",
        "2000::/3",
        "127.0.0.1",
        "127.8.8.8",
        "169.254.169.254",
        "0.1.2.3",
        "224.0.0.1",
        "255.255.255.255",
        "fe80::1",
        "ff02::1",
        "8000::/1",
        "tcp/22",
    ],
)
def test_what_is_never_touched_is_refused_in_every_spelling(text: str) -> None:
    with pytest.raises(Refused, match="never touched"):
        GUARD.check(TARGET({"target": text}))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9/32", "203.0.113.9"),
        ("2001:DB8:1:0::0009", "2001:db8:1::9"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("10.0.1.0/24", "10.0.1.0/24"),
        ("udp/8080", "udp/8080"),
    ],
)
def test_everything_else_passes_in_its_canonical_spelling(text: str, name: str) -> None:
    target = TARGET({"target": text})
    GUARD.check(target)
    assert target.name == name
    assert TARGET(dict(target.arguments)) == target


@given(st.ip_addresses(), st.integers(0, 128))
def test_a_network_that_contains_a_protected_address_is_refused(
    inside: ipaddress.IPv4Address | ipaddress.IPv6Address, prefix: int
) -> None:
    guard = Guard(protect([(str(inside), "ours")]))
    length = min(prefix, inside.max_prefixlen)
    around = ipaddress.ip_network(f"{inside}/{length}", strict=False)
    try:
        target = TARGET({"target": str(around)})
    except InputError:
        return
    with pytest.raises(Refused):
        guard.check(target)


@given(st.text(max_size=60))
def test_any_text_is_parsed_and_written_anew_or_refused(text: str) -> None:
    for parse in (address, network, service, whole_number):
        try:
            found = parse(text)
        except InputError:
            continue
        assert text.isascii()
        assert not text.startswith(("+", " "))
        assert str(found)


def test_a_list_with_an_entry_that_cannot_be_read_is_no_list() -> None:
    with pytest.raises(ContentError, match="gatewy"):
        protect([("gatewy", "a typing mistake")])


def test_the_budget_and_the_switch() -> None:
    on = False
    guard = Guard((), budget=2, stopped=lambda: on)
    guard.allow(1)
    with pytest.raises(Refused, match="budget is spent"):
        guard.allow(2)
    on = True
    with pytest.raises(Refused, match="kill switch"):
        guard.allow(0)
