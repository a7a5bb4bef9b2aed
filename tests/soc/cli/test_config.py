"""`soc config`: what holds, where it came from, what is wrong."""

import json
from pathlib import Path

from tests.command import soc

TOML = """\
[store]
url = "sqlite:/srv/store"
[[inputs]]
path = "/var/log/auth.log"
"""


def test_every_value_is_shown_with_its_origin(tmp_path: Path) -> None:
    (tmp_path / "soc.toml").write_text(TOML)
    ran = soc("config", "show", "--origin", home=tmp_path, environ={"SOC_NODE__UNIT": "Portal"})
    rows = {row["key"]: row for row in ran.documents}
    file = tmp_path / "soc.toml"
    assert rows["store.url"] == {
        "key": "store.url",
        "value": "sqlite:/srv/store",
        "origin": f"{file}:2",
    }
    assert rows["inputs.0.path"]["origin"] == f"{file}:4"
    assert (rows["node.unit"]["value"], rows["node.unit"]["origin"]) == ("Portal", "SOC_NODE__UNIT")
    assert rows["paths.state"]["origin"] == "SOC_PATHS__STATE"
    assert rows["retention.days"] == {"key": "retention.days", "value": None, "origin": "default"}


def test_without_origin_there_is_none(tmp_path: Path) -> None:
    ran = soc("config", "show", "-f", "csv", home=tmp_path)
    assert ran.out.splitlines()[0] == "key,value"
    assert len(json.loads(soc("config", "show", "--json", home=tmp_path).out)) > 5


def test_a_good_configuration_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "soc.toml").write_text(TOML)
    ran = soc("config", "check", home=tmp_path)
    assert (ran.code, ran.out) == (0, "")
    assert f"{tmp_path / 'soc.toml'}: valid\n1 input\n" in ran.err


def test_everything_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "soc.toml").write_text('[store]\nurll = "x"\n[retention]\ndays = "30"\n')
    ran = soc("config", "check", home=tmp_path)
    assert ran.code == 3
    file = tmp_path / "soc.toml"
    assert ran.err == (
        f"error: unknown key 'urll' in [store]\n  at {file}:2\n  try: url\n"
        f"error: retention.days must be a whole number, not text\n  at {file}:4\n"
    )


def test_every_command_that_needs_it_refuses_a_wrong_configuration(tmp_path: Path) -> None:
    (tmp_path / "soc.toml").write_text("[store]\nurl = 3\n")
    ran = soc("config", "show", home=tmp_path)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("error: store.url must be text")


def test_control_characters_in_a_key_do_not_reach_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "soc.toml").write_text('["\\u001b]0;x\\u0007"]\na = 1\n')
    ran = soc("config", "check", home=tmp_path)
    assert ran.code == 3
    assert "\x1b" not in ran.err
    assert "\x07" not in ran.err
