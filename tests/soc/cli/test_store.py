"""`soc store` on the embedded store."""

from pathlib import Path

from tests.command import soc

LINE = b"Nov 22 08:15:30 web7 sshd[811]: Failed password for root from 10.1.2.3 port 51022 ssh2\n"


def test_init_status_and_retention(tmp_path: Path) -> None:
    assert soc("store", "init", home=tmp_path).code == 0
    (tmp_path / "auth.log").write_bytes(LINE)
    assert soc("collect", "file", "auth.log", "--to-store", home=tmp_path).code == 0
    (info,) = soc("store", "status", home=tmp_path).documents
    assert (info["kind"], info["events"], info["alerts"]) == ("sqlite", 1, 0)
    unset = soc("store", "retention", "--apply", home=tmp_path)
    assert unset.code == 3
    assert "[retention]" in unset.err
    (tmp_path / "soc.toml").write_text("[retention]\ndays = 30\n")
    planned = soc("store", "retention", home=tmp_path)
    assert planned.code == 0
    assert "--apply" in planned.err
    assert soc("store", "retention", "--apply", home=tmp_path).code == 0
    (info,) = soc("store", "status", home=tmp_path).documents
    assert info["events"] == 1


def test_the_embedded_store_has_no_keys(tmp_path: Path) -> None:
    ran = soc("store", "keys", "list", home=tmp_path)
    assert ran.code == 2
    assert "https://" in ran.err
