"""Block an address, a network or a port in this machine's packet filter, for a while.

Everything lies in a table of our own, `inet metrosoc`: sets whose elements the kernel removes
when their time is over, and two chains that drop what is in the sets, early on the way in and late
on the way out (so for forwarded packets too). A table that we made carries the chain `transient`
and goes with its last element; one that was there before (same sets and chains) stays.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Final

from playbooks.effect import Change, Json, Lease, Outcome, Request, State, Target
from playbooks.ports.packet_filter import Item, PacketFilter, PacketFilterView
from playbooks.values import network, service
from soc.errors import InputError, Refused
from soc.model.time import iso

CAPABILITY = "packet_filter"
TIER = "medium"
INPUTS = {"target": "an address, a network (CIDR) or a port such as tcp/8080"}
OUTPUTS = {"until": "when the block ends by itself"}
LEASE = Lease(default=3600, longest=7 * 86400)
KERNEL_ENDS = True

FAMILY: Final = "inet"
TABLE: Final = "metrosoc"
MARK: Final = "transient"
AFTERWARDS: Final = "the table goes too, if we made it and it is empty then"
SLACK: Final = 2
"""Seconds: the kernel rounds, and time passes between applying and reading back."""

_PLACE: Final = {"family": FAMILY, "table": TABLE}
_SERVICE: Final = ["inet_proto", "inet_service"]
_PROTOCOLS: Final = {6: "tcp", 17: "udp"}
"""nft prints numbers where /etc/protocols is missing, as on a minimal system."""
SETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "address4": {"type": "ipv4_addr", "flags": ["timeout"]},
    "address6": {"type": "ipv6_addr", "flags": ["timeout"]},
    "network4": {"type": "ipv4_addr", "flags": ["interval", "timeout"]},
    "network6": {"type": "ipv6_addr", "flags": ["interval", "timeout"]},
    "port": {"type": _SERVICE, "flags": ["timeout"]},
}
CHAINS: Final[Mapping[str, Mapping[str, Any]]] = {
    "incoming": {"type": "filter", "hook": "prerouting", "prio": -300, "policy": "accept"},
    "outgoing": {"type": "filter", "hook": "postrouting", "prio": 300, "policy": "accept"},
}


def _drop(left: Json, name: str) -> list[Json]:
    return [{"match": {"op": "==", "left": left, "right": f"@{name}"}}, {"drop": None}]


def _addresses(field: str) -> list[list[Json]]:
    return [
        _drop({"payload": {"protocol": "ip6" if name[-1] == "6" else "ip", "field": field}}, name)
        for name in SETS
        if name != "port"
    ]


_PORT: Final[Json] = {
    "concat": [{"meta": {"key": "l4proto"}}, {"payload": {"protocol": "th", "field": "dport"}}]
}
RULES: Final[Mapping[str, list[list[Json]]]] = {
    "incoming": [*_addresses("saddr"), _drop(_PORT, "port")],
    "outgoing": _addresses("daddr"),
}


def target(arguments: Mapping[str, str]) -> Target:
    """Return what to block, in its one canonical spelling."""
    text = arguments["target"]
    if text.startswith(("tcp/", "udp/")):
        protocol, port = service(text)
        return Target(f"{protocol}/{port}", {"target": f"{protocol}/{port}"}, ports=(port,))
    found = network(text)
    if found.prefixlen == 0:
        raise InputError(f"{text!r} is every address there is", hint="block a smaller network")
    single = found.prefixlen == found.max_prefixlen
    name = str(found.network_address) if single else str(found)
    return Target(name, {"target": name}, networks=(found,))


def observe(target: Target, view: PacketFilterView) -> State:
    """Say whether the target is blocked, by what, and who is connected."""
    items = view.table(FAMILY, TABLE)
    name, value = _element(target)
    entries = _entries(items or (), name)
    here = next((entry for entry in entries if entry["val"] == value), None)
    peers = [
        f"{peer} on our port {port}"
        for peer, port in view.connections()
        if _hits(target, peer, port)
    ]
    data = {
        "ours": items is None or _is_ours(items),
        "transient": items is None or _chain(items, MARK),
        "here": here,
        "overlaps": [] if here else _overlaps(target, entries),
        "peers": sorted(set(peers)),
    }
    if here is None:
        return State("not blocked", data)
    return State("blocked for a while" if "expires" in here else "blocked for good", data)


def plan(request: Request, state: State) -> Change:
    """Return the transaction that blocks the target, and the one that takes it back."""
    if not state.data["ours"]:
        raise Refused(
            f"the table {FAMILY} {TABLE} is not as we make it: somebody else's rules are in it",
            hint=f"look at: nft list table {FAMILY} {TABLE}",
        )
    if overlaps := state.data["overlaps"]:
        raise Refused(
            f"{request.target.name} overlaps {overlaps[0]}, which is blocked already",
            hint="soc contain release it first",
        )
    here = state.data["here"]
    what = "from and to" if request.target.networks else "to port"
    return Change(
        summary=f"drop every packet {what} {request.target.name}",
        do=_blocking(request, transient=bool(state.data["transient"])),
        undo={"commands": _removing(request.target), "then": AFTERWARDS},
        needed=here is None or here.get("expires", request.seconds) + SLACK < request.seconds,
        cuts_off=tuple(state.data["peers"]),
    )


def apply(request: Request, change: Change, port: PacketFilter) -> None:
    """Block the target in one transaction."""
    port.submit(change.do if isinstance(change.do, list) else [])


def verify(request: Request, view: PacketFilterView) -> Outcome:
    """Read back whether the target is blocked for as long as asked."""
    state = observe(request.target, view)
    here = state.data["here"]
    if here is None or not state.data["ours"]:
        return Outcome(False, f"{request.target.name} is not blocked")
    left = here.get("expires", request.seconds)
    if left + SLACK < request.seconds:
        return Outcome(False, f"{request.target.name} is blocked for {left} seconds only")
    return Outcome(True, f"{request.target.name} is blocked", {"until": iso(request.until)})


def revert(request: Request, change: Change, port: PacketFilter) -> None:
    """Unblock the target; a table that we made goes with its last element.

    Not when somebody has put something of theirs into it.
    """
    items = port.table(FAMILY, TABLE)
    name, value = _element(request.target)
    if items is None or not any(item.get("set", {}).get("name") == name for item in items):
        return
    others = [
        entry
        for each in SETS
        for entry in _entries(items, each)
        if (each, entry["val"]) != (name, value)
    ]
    commands: list[Item] = list(_removing(request.target))
    if not others and _chain(items, MARK) and _is_ours(items):
        commands = [{"delete": {"table": {"family": FAMILY, "name": TABLE}}}]
    port.submit(commands)


def _element(target: Target) -> tuple[str, Any]:
    """Return the set that a target belongs to, and its value in nftables' JSON."""
    if target.ports:
        protocol, port = service(target.name)
        return "port", {"concat": [protocol, port]}
    found = target.networks[0]
    if found.prefixlen == found.max_prefixlen:
        return f"address{found.version}", str(found.network_address)
    value = {"prefix": {"addr": str(found.network_address), "len": found.prefixlen}}
    return f"network{found.version}", value


def _blocking(request: Request, *, transient: bool) -> list[Json]:
    name, value = _element(request.target)
    chains = [{**_PLACE, "name": chain, **fields} for chain, fields in CHAINS.items()]
    mark: list[Json] = [{"add": {"chain": {**_PLACE, "name": MARK}}}] if transient else []
    element: dict[str, Any] = {**_PLACE, "name": name}
    timed = {**element, "elem": [{"elem": {"val": value, "timeout": request.seconds}}]}
    # Adding what is there keeps its old time on older kernels: add, delete, add sets it anew.
    return [
        {"add": {"table": {"family": FAMILY, "name": TABLE}}},
        *({"add": {"set": {**_PLACE, "name": each, **fields}}} for each, fields in SETS.items()),
        *({"add": {"chain": chain}} for chain in chains),
        *({"flush": {"chain": {**_PLACE, "name": chain}}} for chain in CHAINS),
        *(
            {"add": {"rule": {**_PLACE, "chain": chain, "expr": rule}}}
            for chain, rules in RULES.items()
            for rule in rules
        ),
        *mark,
        {"add": {"element": timed}},
        {"delete": {"element": {**element, "elem": [value]}}},
        {"add": {"element": timed}},
    ]


def _removing(target: Target) -> list[Any]:
    name, value = _element(target)
    element = {**_PLACE, "name": name, "elem": [value]}
    # Deleting what has run out is an error: added first, it is there.
    return [{"add": {"element": element}}, {"delete": {"element": element}}]


def _entries(items: Sequence[Item], name: str) -> list[Mapping[str, Any]]:
    """Return a set's elements as {"val": ..., "expires": seconds unless it stays for good}."""
    for item in items:
        found = item.get("set", {})
        if found.get("name") == name:
            elements = found.get("elem", ())
            listed = [
                each["elem"] if isinstance(each, Mapping) and "elem" in each else {"val": each}
                for each in elements
            ]
            return [{**entry, "val": _named(entry["val"])} for entry in listed]
    return []


def _named(value: Any) -> Any:  # noqa: ANN401
    """Return an element with its protocol's name."""
    if isinstance(value, Mapping) and "concat" in value:
        protocol, *rest = value["concat"]
        return {"concat": [_PROTOCOLS.get(protocol, protocol), *rest]}
    return value


def _chain(items: Sequence[Item], name: str) -> bool:
    return any(item.get("chain", {}).get("name") == name for item in items)


def _is_ours(items: Sequence[Item]) -> bool:
    sets, chains, rules = {}, {}, dict[str, list[Any]]()
    for item in items:
        if found := item.get("set"):
            flags = found.get("flags", [])  # newer versions write a single one without a list
            listed = sorted([flags] if isinstance(flags, str) else flags)
            sets[found["name"]] = {"type": found.get("type"), "flags": listed}
        elif found := item.get("chain"):
            keys = ("type", "hook", "prio", "policy")
            chains[found["name"]] = {key: found[key] for key in keys if key in found}
        elif found := item.get("rule"):
            rules.setdefault(found["chain"], []).append(found["expr"])
    chains.pop(MARK, None)
    return sets == SETS and chains == CHAINS and rules == RULES


def _overlaps(target: Target, entries: Sequence[Mapping[str, Any]]) -> list[str]:
    if not target.networks or target.networks[0].prefixlen == target.networks[0].max_prefixlen:
        return []
    found = []
    for entry in entries:
        prefix = entry["val"].get("prefix") if isinstance(entry["val"], Mapping) else None
        if prefix:
            other = ipaddress.ip_network(f"{prefix['addr']}/{prefix['len']}")
            if other.overlaps(target.networks[0]):
                found.append(str(other))
    return found


def _hits(target: Target, peer: Any, port: int) -> bool:  # noqa: ANN401 - an address
    return port in target.ports or any(peer in each for each in target.networks)
