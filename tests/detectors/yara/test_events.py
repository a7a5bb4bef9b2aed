"""From a match to an event to a finding: complete, of the right types, the same each time."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from detectors.yara.events import Origin, events_of
from detectors.yara.findings import finding_of
from detectors.yara.limits import Limits
from detectors.yara.samples import assemble
from soc.model.ecs import check
from soc.model.event import Event, flatten, nest
from tests.detectors.yara.making import NEEDLE, rule, scan

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
ORIGIN = Origin("node1", NOW, {"host.name": "web01"})


def events(place: Path, data: bytes, *texts: str, origin: Origin = ORIGIN) -> list[Event]:
    folder = place / "files"
    folder.mkdir(exist_ok=True)
    (folder / "a").write_bytes(data)
    return list(events_of(scan(place, [folder], *texts).results["a"], origin))


def test_an_event_is_ecs(tmp_path: Path) -> None:
    packed = assemble({"zip": {"x": "needle"}})
    for data in (b"needle", packed):
        (event,) = events(tmp_path, data)
        assert check(event) == []
        assert event["event.module"] == event["event.dataset"] == "yara"
        assert event["rule.name"] == "A word"
        assert event["file.name"] == "a"
        assert len(event["file.hash.sha256"]) == 64


def test_a_finding_says_which_strings_were_where(tmp_path: Path) -> None:
    (event,) = events(tmp_path, b"hay needle")
    finding = finding_of(event)
    assert finding
    assert finding.rule.level == "high"
    (leaf,) = finding.reason.children
    assert (leaf.label, leaf.pattern, leaf.value) == ("$a", "at 4 (6 bytes)", "needle")
    document = finding.as_event()
    assert document["file.hash.sha256"] == event["file.hash.sha256"]
    assert document["soc.entities"] == ["host:web01", f"file:{event['file.hash.sha256']}"]
    assert [problem for problem in check(document) if problem.got != "nothing"] == []


def test_a_finding_survives_the_way_through_json(tmp_path: Path) -> None:
    (event,) = events(tmp_path, assemble({"zip": {"../x": "needle"}}))
    again = flatten(nest(event))
    assert finding_of(again) == finding_of(event)
    finding = finding_of(again)
    assert finding
    assert finding.reason.label == "yara needle in ../x"


def test_the_same_match_has_the_same_id_each_time(tmp_path: Path) -> None:
    later = Origin("node1", NOW + timedelta(days=3))
    elsewhere = Origin("node2", NOW)
    (first,), (again,) = events(tmp_path, b"needle"), events(tmp_path, b"needle", origin=later)
    (other,) = events(tmp_path, b"needle", origin=elsewhere)
    (changed,) = events(tmp_path, b"needle!")
    assert first["event.id"] == again["event.id"]
    assert len({first["event.id"], other["event.id"], changed["event.id"]}) == 3


def test_two_rules_and_two_members_are_different_events(tmp_path: Path) -> None:
    data = assemble({"zip": {"x": "needle", "y": "needle"}})
    second = rule("second", "$a", n=1, strings='$a = "need"')
    found = events(tmp_path, data, NEEDLE, second)
    assert len({event["event.id"] for event in found}) == 4


def test_the_node_key_makes_ids_unguessable(tmp_path: Path) -> None:
    (open_one,) = events(tmp_path, b"needle")
    (kept,) = events(tmp_path, b"needle", origin=Origin("node1", NOW, key=b"k" * 32))
    assert open_one["event.id"] != kept["event.id"]


def test_a_carved_file_tells_how_it_came_in_each_time(tmp_path: Path) -> None:
    known = {"file.name": "../../x.php", "source.ip": "203.0.113.9"}
    (first,) = events(tmp_path, b"needle", origin=Origin("node1", NOW, known, carrier="1"))
    (second,) = events(tmp_path, b"needle", origin=Origin("node1", NOW, known, carrier="2"))
    assert first["file.name"] == "../../x.php"
    assert first["event.id"] != second["event.id"]
    finding = finding_of(first)
    assert finding
    assert "ip:203.0.113.9" in finding.entities


def test_a_file_not_judged_is_an_event_but_no_finding(tmp_path: Path) -> None:
    endless = rule(
        "endless", "$a and for all i in (0..9000000000) : (i < 9000000001)", strings='$a = "evr"'
    )
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a").write_bytes(b"evr")
    result = scan(tmp_path, [folder], endless, limits=Limits(seconds=2)).results["a"]
    (event,) = events_of(result, ORIGIN)
    assert event["event.kind"] == "pipeline_error"
    assert "did not end" in event["error.message"]
    assert check(event) == []
    assert finding_of(event) is None


def test_names_of_any_bytes_are_shown(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    with open(os.path.join(os.fsencode(folder), b"\xff\x1b.php"), "wb") as file:
        file.write(b"needle")
    (result,) = scan(tmp_path, [folder]).results.values()
    (event,) = events_of(result, ORIGIN)
    assert event["file.name"] == "\\xff\x1b.php"
    assert check(event) == []


@given(
    st.dictionaries(
        st.sampled_from(
            ["event.module", "event.kind", "rule.id", "rule.name", "rule.level", "soc.yara.strings"]
        ),
        st.one_of(
            st.sampled_from(["yara", "event", "high"]),
            st.lists(st.dictionaries(st.sampled_from(["offset", "data"]), st.text(max_size=4))),
            st.none(),
        ),
    )
)
def test_events_from_outside_do_not_break_it(event: Event) -> None:
    finding_of({"event.id": "1", "@timestamp": "2026-11-22T00:00:00.000000Z"} | event)
