"""`soc rules explain`: what of a rule matched an event and what failed, with the values."""

from pathlib import Path

import orjson
import pytest

from tests.command import soc
from tests.data import ROOT

SSHD = ROOT / "rules" / "sigma" / "sshd"
ROOT_LOGIN = "5591f1e5-8f4b-4877-b0e8-fa4c1ecd3c5f"
HIT = "Nov 22 08:15:30 web01 sshd[71]: Accepted password for root from 203.0.113.9 port 4711 ssh2"
MISS = HIT.replace("root", "lan")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "auth.log"
    path.write_text(f"{HIT}\n{MISS}\n", "utf-8")
    return path


@pytest.mark.parametrize(
    "rule", [ROOT_LOGIN, "root logged in over ssh", str(SSHD / "ssh_root_login.yml")]
)
def test_a_rule_is_named_by_id_title_or_file(rule: str, log: Path, tmp_path: Path) -> None:
    ran = soc("rules", "explain", rule, log, home=tmp_path)
    assert ran.code == 0, ran.err
    hit, miss = ran.documents
    assert (hit["matched"], miss["matched"]) == (True, False)
    assert hit["rule"]["id"] == ROOT_LOGIN
    leaf = miss["reason"]["children"][0]
    assert leaf["field"] == "message"
    assert "for lan" in leaf["value"]
    assert "for root from" in leaf["pattern"]


def test_the_table_is_a_tree(log: Path, tmp_path: Path) -> None:
    ran = soc("rules", "explain", ROOT_LOGIN, log, "-f", "table", home=tmp_path)
    head, selection, leaf, *_ = ran.out.splitlines()
    assert head.startswith("Root Logged In Over SSH: event ")
    assert head.endswith(" matches")
    assert selection == "  + selection"
    assert leaf.startswith("    + message|re ")
    assert leaf.endswith("ssh2'")
    assert "    - message|re" in ran.out


def test_events_come_through_a_pipe_and_from_the_store(log: Path, tmp_path: Path) -> None:
    store = f"sqlite://{tmp_path}/store"
    assert soc("collect", "file", log, "--to-store", "--store", store, home=tmp_path).code == 0
    stored = soc("hunt", "user.name:root", "--store", store, home=tmp_path)
    [event] = stored.documents
    piped = soc("rules", "explain", ROOT_LOGIN, "-", input=stored.out.encode(), home=tmp_path)
    looked = soc(
        "rules", "explain", ROOT_LOGIN, event["event"]["id"], "--store", store, home=tmp_path
    )
    assert piped.documents == looked.documents
    assert piped.documents[0]["matched"] is True
    assert piped.documents[0]["event"]["id"] == event["event"]["id"]


def test_a_correlation_shows_its_rules_and_the_values_it_takes(tmp_path: Path) -> None:
    failed = HIT.replace("Accepted", "Failed")
    times = (f"Nov 22 08:15:{second:02}" for second in range(12))
    lines = [failed.replace("Nov 22 08:15:30", time) for time in times]
    log = tmp_path / "auth.log"
    log.write_text("\n".join([*lines, HIT, HIT.replace("Accepted", "Closed")]), "utf-8")
    ran = soc("rules", "explain", SSHD / "ssh_guessed_password.yml", log, home=tmp_path)
    *parts, series = ran.documents
    assert [one["scope"] for one in parts] == ["part"] * 14
    assert [one["matched"] for one in parts] == [True] * 13 + [False]
    many, accepted = parts[12]["reason"]["children"]
    assert (many["matched"], accepted["matched"]) == (False, True)
    taken = {leaf["label"]: leaf["value"] for leaf in accepted["children"] if "field" in leaf}
    assert taken == {"group-by source.ip": "203.0.113.9", "group-by host.name": "web01"}
    assert series["scope"] == "series"
    assert series["matched"] is True
    assert series["event"]["id"] == parts[12]["event"]["id"]


def test_what_cannot_be_explained_is_said_with_the_way_out(log: Path, tmp_path: Path) -> None:
    ran = soc("rules", "explain", "Root Logged In Over SHH", log, home=tmp_path)
    assert ran.code == 2
    assert "Root Logged In Over SSH" in ran.err
    ran = soc("rules", "explain", ROOT_LOGIN, "no-such-event", home=tmp_path)
    assert ran.code == 4
    assert "soc hunt" in ran.err
    bad = tmp_path / "bad.yml"
    bad.write_text("title: Bad\nid: 1\n", "utf-8")
    ran = soc("rules", "explain", bad, log, home=tmp_path)
    assert ran.code == 3
    assert "bad.yml:" in ran.err
    both = tmp_path / "both.yml"
    text = (SSHD / "ssh_root_login.yml").read_text("utf-8").replace(ROOT_LOGIN, "{id}")
    ids = [ROOT_LOGIN[:-1] + end for end in "ab"]
    both.write_text("\n---\n".join(text.replace("{id}", one) for one in ids), "utf-8")
    ran = soc("rules", "explain", both, log, home=tmp_path)
    assert ran.code == 2
    assert ids[0] in ran.err


def test_hostile_values_do_not_act_on_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    log.write_bytes(HIT.replace("port", "\x1b[2J\u202e").encode())
    for form in ("table", "ndjson", "csv"):
        ran = soc("rules", "explain", ROOT_LOGIN, log, "-f", form, home=tmp_path)
        assert ran.code == 0
        assert "\x1b" not in ran.out
        assert "\u202e" not in ran.out
    document = orjson.loads(soc("rules", "explain", ROOT_LOGIN, log, "--json", home=tmp_path).out)
    assert "\x1b[2J" in document[0]["reason"]["children"][0]["value"]
