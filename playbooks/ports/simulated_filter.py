"""A packet filter that filters nothing: for the demo, for rehearsals and for tests.

It understands the commands that our actions send, answers as `nft` does, removes elements when
their time is over, and may keep its state in a file so that it outlives the process.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from playbooks.ports.packet_filter import Item
from playbooks.values import Address
from soc.errors import StoreError
from soc.model.time import iso, parse_iso

Tables = dict[str, dict[str, dict[str, Any]]]
"""`family name` -> kind and name of what is in it (`set port`, `chain incoming`) -> its fields."""

_EMPTY: Final[Mapping[str, Any]] = {"tables": {}, "transactions": []}


class SimulatedFilterView:
    """Reads the simulated filter; `load` returns its state."""

    def __init__(
        self,
        load: Callable[[], dict[str, Any]],
        clock: Callable[[], datetime],
        peers: Sequence[tuple[Address, int]] = (),
    ) -> None:
        self._load = load
        self._clock = clock
        self._peers = tuple(peers)

    def table(self, family: str, name: str) -> list[Item] | None:
        """Return a table and all that is in it, None when there is no such table."""
        found = self._load()["tables"].get(f"{family} {name}")
        if found is None:
            return None
        items: list[Item] = [{"table": {"family": family, "name": name}}]
        for key, fields in found.items():
            kind, _, label = key.partition(" ")
            if kind == "set":
                items.append({"set": {**fields, "elem": self._alive(fields["elem"])}})
            else:
                rules = [{"rule": {"chain": label, "expr": rule}} for rule in fields["rules"]]
                items += [{"chain": {k: v for k, v in fields.items() if k != "rules"}}, *rules]
        return items

    def connections(self) -> list[tuple[Address, int]]:
        """Return the connections that it was made with."""
        return list(self._peers)

    def _alive(self, elements: Mapping[str, Any]) -> list[Any]:
        now, found = self._clock(), []
        for text, ends in elements.items():
            value = orjson.loads(text)
            left = (parse_iso(ends) - now).total_seconds() if ends else 1
            if not ends:
                found.append(value)
            elif left > 0:
                found.append({"elem": {"val": value, "expires": int(left)}})
        return found


class SimulatedFilter(SimulatedFilterView):
    """Reads and changes the simulated filter; `path` None keeps the state in memory."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        path: Path | None = None,
        peers: Sequence[tuple[Address, int]] = (),
    ) -> None:
        self._path = path
        self._memory: dict[str, Any] = deepcopy(dict(_EMPTY))
        super().__init__(self.state, clock, peers)

    def view(self) -> SimulatedFilterView:
        """Return a view that holds no way to change the filter."""
        return SimulatedFilterView(self.state, self._clock, self._peers)

    def state(self) -> dict[str, Any]:
        """Return a copy of everything: the tables, and a line for each transaction so far."""
        if self._path is None:
            return deepcopy(self._memory)
        try:
            loaded: dict[str, Any] = orjson.loads(self._path.read_bytes())
        except FileNotFoundError:
            return deepcopy(dict(_EMPTY))
        return loaded

    def submit(self, commands: Sequence[Item]) -> None:
        """Carry out all commands, or none and raise StoreError."""
        state = self.state()
        for command in commands:
            (verb, item), *_ = command.items()
            (kind, fields), *_ = item.items()
            try:
                self._do(state["tables"], verb, kind, fields)
            except (KeyError, TypeError) as error:
                message = f"the packet filter refuses: {verb} {kind}: no such thing: {error}"
                raise StoreError(message, where="simulated filter") from error
        state["transactions"].append(orjson.dumps(commands[-1]).decode())
        self._save(state)

    def _do(self, tables: Tables, verb: str, kind: str, fields: Mapping[str, Any]) -> None:
        if kind == "table":
            name = f"{fields['family']} {fields['name']}"
            if verb == "delete":
                del tables[name]
            else:
                tables.setdefault(name, {})
            return
        table = tables[f"{fields['family']} {fields['table']}"]
        bare = {key: value for key, value in fields.items() if key not in ("family", "table")}
        if kind == "set":
            table.setdefault(f"set {fields['name']}", {**bare, "elem": {}})
        elif kind == "chain" and verb == "flush":
            table[f"chain {fields['name']}"]["rules"] = []
        elif kind == "chain":
            table.setdefault(f"chain {fields['name']}", {**bare, "rules": []})
        elif kind == "rule":
            table[f"chain {fields['chain']}"]["rules"].append(fields["expr"])
        else:
            self._element(table[f"set {fields['name']}"]["elem"], verb, fields["elem"])

    def _element(self, elements: dict[str, Any], verb: str, values: Sequence[Any]) -> None:
        now = self._clock()
        for each in values:
            timed = isinstance(each, Mapping) and "elem" in each
            fields = each["elem"] if timed else {"val": each}
            key = orjson.dumps(fields["val"]).decode()
            ends = elements.get(key)
            gone = key not in elements or (ends is not None and parse_iso(ends) <= now)
            if verb == "delete":
                if gone:
                    raise KeyError(key)
                del elements[key]
            elif gone:
                seconds = fields.get("timeout")
                elements[key] = iso(now + timedelta(seconds=seconds)) if seconds else None

    def _save(self, state: dict[str, Any]) -> None:
        if self._path is None:
            self._memory = state
            return
        scratch = self._path.with_suffix(".new")
        scratch.write_bytes(orjson.dumps(state))
        scratch.replace(self._path)
