"""Looks at the streams, on a server that is a dictionary: what is left out, and when it is not."""

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest

from soc.store.elastic.looks import MOST, WHOLE, Look

PATTERN = "logs-soc.*-city"


class Server:
    """Indices with their checkpoints; notes what was asked."""

    url = "https://soc.example:9200"

    def __init__(self) -> None:
        self.reached: dict[str, int] = {}
        self.asked: list[str] = []

    def ask(self, method: str, path: str, **_: Any) -> dict[str, Any]:
        self.asked.append(path)
        first, *without = path.split("/")[1].split(",")
        wanted = first if first.startswith(".ds-") else f".ds-{first}-*"
        found = [
            name
            for name in self.reached
            if fnmatchcase(name, wanted)
            and not any(fnmatchcase(name, one.removeprefix("-")) for one in without)
        ]
        return {"indices": {name: self._stats(self.reached[name]) for name in found}}

    def _stats(self, reached: int) -> dict[str, Any]:
        seq_no = {"global_checkpoint": reached}
        copy = {"routing": {"primary": True}, "seq_no": seq_no}
        return {"shards": {"0": [copy | {"commit": {"user_data": {"history_uuid": "h"}}}]}}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A look, and a worker that reads everything it is shown at once."""

    def __init__(self, *streams: str) -> None:
        self.server, self.clock = Server(), Clock()
        self.look = Look(PATTERN, self.clock)
        self.cursors: dict[str, dict[str, dict[str, int]]] = {}
        self.streams = streams or ("sshd",)

    def index(self, day: str, generation: int, reached: int = 9) -> list[str]:
        names = [f".ds-logs-soc.{one}-city-{day}-{generation:06}" for one in self.streams]
        self.server.reached |= dict.fromkeys(names, reached)
        return names

    def step(self, seconds: float = 1.0) -> dict[str, int]:
        """Look, read, and return how far the indices were that were seen."""
        self.clock.now += seconds
        shards = self.look.shards(self.server)  # type: ignore[arg-type]
        for one in shards:
            name = f"{one.index.stream}/{one.number}"
            known = self.cursors.setdefault(name, {})
            self.look.given(name, json.dumps(known) if known else None)
            known.setdefault(one.index.name, {})[one.key] = one.until
            self.look.gave(name, json.dumps(known))
        return {one.index.name: one.until for one in shards}

    def minutes(self, count: int) -> None:
        for _ in range(count * 70):
            self.step()


def test_what_is_drained_and_has_a_successor_is_looked_at_once_a_minute() -> None:
    bench = Bench("sshd", "sudo")
    old, new = bench.index("2026.11.26", 1), bench.index("2026.11.27", 2)
    for _ in range(int(WHOLE)):
        assert set(bench.step()) == {*old, *new}, "for two looks a minute apart"
    bench.minutes(1)
    seen = [bench.step() for _ in range(200)]
    whole = [one for one in seen if set(one) == {*old, *new}]
    assert all(set(one) in ({*new}, {*old, *new}) for one in seen)
    assert 2 <= len(whole) <= 200 / WHOLE + 1
    assert bench.look.left_out == {*old}


def test_a_late_write_is_read_at_the_next_look_at_everything() -> None:
    bench = Bench()
    (old,), _new = bench.index("2026.11.26", 1), bench.index("2026.11.27", 2)
    bench.minutes(4)
    assert bench.look.left_out == {old}
    bench.server.reached[old] += 1
    seen = next(n for n in range(200) if bench.step().get(old) == 10)
    assert seen <= WHOLE
    assert bench.look.left_out == set(), "it moved: from here on it is looked at all the time"
    bench.minutes(3)
    assert bench.look.left_out == {old}


def test_what_is_new_is_seen_at_once() -> None:
    bench = Bench()
    bench.index("2026.11.26", 1)
    bench.index("2026.11.27", 2)
    bench.minutes(4)
    assert bench.look.left_out
    (turned,) = bench.index("2026.11.28", 3, reached=0)
    assert turned in bench.step()
    bench.streams = ("brandnew",)
    (other,) = bench.index("2026.11.27", 1, reached=0)
    assert other in bench.step()


def test_an_index_that_is_not_drained_stays() -> None:
    bench = Bench()
    (old,), (new,) = bench.index("2026.11.26", 1), bench.index("2026.11.27", 2)
    real = bench.look.gave
    bench.look.gave = lambda name, cursor: real(name, json.dumps({new: {"0@h": 9}}))  # type: ignore[method-assign]
    for _ in range(300):
        assert old in bench.step()


def test_a_cursor_that_is_not_ours_has_everything_looked_at() -> None:
    """A slot came back with what was saved, a while ago."""
    bench = Bench()
    (old,), _new = bench.index("2026.11.26", 1), bench.index("2026.11.27", 2)
    bench.minutes(4)
    assert old not in bench.step()
    bench.look.given("logs-soc.sshd-city/0", None)
    assert old in bench.step()


@pytest.mark.parametrize("turned", [True, False])
def test_a_request_has_room_for_a_year(turned: bool) -> None:
    """A stream that never turns keeps its day, and only its day."""
    bench = Bench()
    dates = [f"2025.{month:02}.{day:02}" for month in range(1, 13) for day in range(1, 29)]
    for generation, day in enumerate(dates, 1):
        bench.index(day, generation)
    bench.index("2026.01.01", len(dates) + 1)
    if not turned:
        bench.server.reached[".ds-logs-soc.silent-city-2025.06.15-000001"] = 3
    for _ in range(9):
        seen = bench.step(30)
    seen = bench.step()
    assert len(seen) <= (1 if turned else 3)
    assert len(bench.server.asked[-1].split(",")) <= MOST + 1
    assert len(bench.server.asked[-1]) < 3_000


def test_another_environment_with_a_similar_name_is_none_of_ours() -> None:
    bench = Bench()
    bench.index("2026.11.26", 1)
    bench.index("2026.11.27", 2)
    bench.minutes(4)
    bench.server.reached[".ds-logs-soc.a-city-2026.11.27-x-2026.11.27-000001"] = 1
    assert all("-x-" not in name for name in bench.step())
