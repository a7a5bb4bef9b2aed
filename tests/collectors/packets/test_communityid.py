"""Community IDs: every flow of the specification's own captures gets the expected one."""

import json
from datetime import UTC, datetime

from collectors.packets.reading import read_capture
from tests.data import archive

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def test_every_expected_community_id_is_found() -> None:
    folder = archive("community-id")
    expected = json.loads((folder / "baseline" / "baseline_deflt.json").read_text())
    found = {
        event["network.community_id"]: (event["source.ip"], event["destination.ip"])
        for capture in sorted((folder / "pcaps").iterdir())
        for event in read_capture(capture, received=NOW)
    }
    for flow in expected:
        assert set(found[flow["communityid"]]) == {flow["saddr"], flow["daddr"]}
    assert set(found) == {flow["communityid"] for flow in expected}
