from pathlib import Path

import pytest

from soc.errors import ContentError, StoreError
from soc.run.own_addresses import host_of, own, resolve

FIB = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 198.51.100.0/24 2 0 2
        |-- 198.51.100.0
           /24 link UNICAST
        |-- 198.51.100.7
           /32 host LOCAL
        |-- 198.51.100.255
           /32 link BROADCAST
"""
ROUTE = """\
Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth0 00000000 016433C6 0003 0 0 0 00000000 0 0 0
eth0 006433C6 00000000 0001 0 0 0 00FFFFFF 0 0 0
"""
INET6 = "20010db8000000000000000000000007 02 40 00 80 eth0\n"
ROUTE6 = (
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "20010db8000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n"
)


def machine(root: Path) -> Path:
    net = root / "proc" / "net"
    net.mkdir(parents=True)
    for name, text in (
        ("fib_trie", FIB),
        ("route", ROUTE),
        ("if_inet6", INET6),
        ("ipv6_route", ROUTE6),
    ):
        (net / name).write_text(text, "ascii")
    (root / "etc").mkdir()
    (root / "etc" / "resolv.conf").write_text(
        "# comment\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nsearch x\n", "ascii"
    )
    return root


def test_addresses_gateways_and_name_servers_are_found(tmp_path: Path) -> None:
    assert own(machine(tmp_path)) == [
        ("198.51.100.7", "this machine"),
        ("2001:db8::7", "this machine"),
        ("198.51.100.1", "a gateway"),
        ("2001:db8::1", "a gateway"),
        ("192.0.2.53", "a name server"),
        ("fe80::1", "a name server"),
    ]


def test_without_the_kernels_word_nothing_is_blocked(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="own addresses"):
        own(tmp_path)


def test_a_machine_without_ipv6_is_fine(tmp_path: Path) -> None:
    root = machine(tmp_path)
    for name in ("if_inet6", "ipv6_route"):
        (root / "proc" / "net" / name).unlink()
    assert ("198.51.100.7", "this machine") in own(root)


def test_hosts_are_resolved_and_networks_kept() -> None:
    assert resolve("198.51.100.0/24") == ["198.51.100.0/24"]
    assert "127.0.0.1" in resolve("localhost")
    with pytest.raises(ContentError, match="without an address"):
        resolve("no such host")


@pytest.mark.parametrize(
    "name", ["192.168.010.001", "10", "10.1", "0x7f.1", "010.0.0.1.", "0xc0a80001", "1.2.3.4.5"]
)
def test_an_address_written_unusually_is_refused_not_misread(name: str) -> None:
    with pytest.raises(ContentError, match="cannot be read"):
        resolve(name)


def test_the_servers_behind_the_stub_of_systemd_are_found(tmp_path: Path) -> None:
    root = machine(tmp_path)
    (root / "etc" / "resolv.conf").write_text("nameserver 127.0.0.53\n", "ascii")
    (root / "run" / "systemd" / "resolve").mkdir(parents=True)
    (root / "run" / "systemd" / "resolve" / "resolv.conf").write_text(
        "nameserver 192.0.2.54\n", "ascii"
    )
    assert ("192.0.2.54", "a name server") in own(root)


def test_the_store_on_another_host_is_protected() -> None:
    assert host_of("sqlite:/var/lib/x", "the store") == []
    assert host_of("https://192.0.2.80:9200", "the store") == [("192.0.2.80/32", "the store")]
