"""The sections of soc.toml: their defaults, and what they refuse."""

import os
import pwd
import socket
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from soc.cli.common import person
from soc.config import Sources
from soc.config.options import Options
from soc.errors import ContentError
from soc.registry import plugins
from soc.run.settings import Settings, default_state, load, zone
from soc.run.starting import starter


def settings(folder: Path, text: str = "", **environ: str) -> Settings:
    (folder / "soc.toml").write_text(text)
    return load(sources=Sources({}, {"HOME": str(folder), **environ}, folder, folder / "none"))


def test_the_defaults_are_a_store_in_the_state_folder_and_the_shipped_rules(
    tmp_path: Path,
) -> None:
    found = settings(tmp_path)
    assert found.store.url == f"sqlite:{found.paths.state}/store"
    assert found.store.environment == "default"
    assert found.node.name == socket.gethostname()
    assert [path.name for path in found.rules.paths] == ["sigma"]
    assert list(found.rules.paths[0].rglob("*.yml"))
    assert (found.retention.days, found.retention.bytes, found.inputs) == (None, None, [])


def test_the_store_follows_the_state_folder(tmp_path: Path) -> None:
    found = settings(tmp_path, '[paths]\nstate = "/srv/soc"')
    assert found.store.url == "sqlite:/srv/soc/store"
    assert settings(tmp_path, SOC_PATHS__STATE="/x").store.url == "sqlite:/x/store"


def test_a_tilde_is_the_home_folder(tmp_path: Path) -> None:
    found = settings(tmp_path, '[paths]\nstate = "~/soc"\n[rules]\npaths = ["~/r"]')
    assert found.paths.state == Path.home() / "soc"
    assert found.store.url == f"sqlite:{Path.home()}/soc/store"
    assert found.rules.paths == (Path.home() / "r",)


def test_a_tilde_of_nobody_is_named_not_a_bug(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="home folder") as caught:
        settings(tmp_path, '[paths]\nstate = "~no-such-user/soc"')
    assert caught.value.where == f"{tmp_path}/soc.toml:2"


def unknown(_number: int) -> None:
    raise KeyError("uid not found")


def test_a_user_that_the_system_does_not_know_is_no_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    assert person() == f"uid:{os.getuid()}"
    for environ in ({}, {"XDG_CONFIG_HOME": "/c"}):
        with pytest.raises(ContentError, match="no home folder"):
            load(sources=Sources({}, environ, tmp_path, tmp_path / "none"))
    environ = {"XDG_CONFIG_HOME": "/c", "SOC_PATHS__STATE": "/x"}
    found = load(sources=Sources({}, environ, tmp_path, tmp_path / "none"))
    assert found.paths.state == Path("/x")


def test_state_of_root_is_the_systems_and_of_others_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_state({}) == Path("/var/lib/metrosoc")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert default_state({"HOME": "/home/an"}) == Path("/home/an/.local/state/metrosoc")
    assert default_state({"XDG_STATE_HOME": "/s"}) == Path("/s/metrosoc")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[store]\nurl = "https://elastic:canary@host"', "store.url: a secret is given by ref"),
        ('[store]\nenvironment = "City-1"', "store.environment: only small letters"),
        ('[node]\nname = " "', "node.name: must not be empty"),
        ("[retention]\ndays = 0", "retention.days must be at least 1"),
        ('[[inputs]]\npath = ""', "inputs[0].path: must not be empty"),
        ('[[inputs]]\npath = "x"\nlisten = "tcp://[::]:514"', "inputs[0]: needs either path"),
        ('[[inputs]]\nlisten = "udp://0.0.0.0:514"', "inputs[0].listen: not an address"),
        ('[[inputs]]\nlisten = "tcp://0.0.0.0"', "inputs[0].listen: not an address"),
        ('[[inputs]]\nlisten = "tcp://0.0.0.0:99999"', "inputs[0].listen: "),
        (
            '[[inputs]]\npath = "x"\nparser = "ssh"',
            "inputs[0].parser: no parser is called 'ssh'; write sshd",
        ),
        ("[spool]\nlimit = 5", "spool.limit must be at least 16000000"),
        ('[[inputs]]\npath = "x"\nzone = "Asia/Nowhere"', "inputs[0].zone: not a time zone"),
        ('[[inputs]]\npath = "x"\nzone = "../../etc/passwd"', "inputs[0].zone: not a time zone"),
        ('[paths]\nstate = ""', "paths.state: must not be empty"),
        ("[paths]\nstate = 3", "paths.state must be text, not a whole number"),
        ("paths = 3", "paths must be a table, not a whole number"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ContentError) as caught:
        settings(tmp_path, text)
    assert caught.value.message.startswith(message)
    assert caught.value.where.startswith(str(tmp_path / "soc.toml"))
    assert "canary" not in str(caught.value)


def test_the_local_zone_has_the_rules_of_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    local = zone("local")
    offsets = {datetime(2026, month, 1, tzinfo=local).utcoffset() for month in (1, 7)}
    assert len(offsets) == 2
    monkeypatch.setenv("TZ", "no such zone")
    assert isinstance(zone("local"), ZoneInfo)
    assert zone("Asia/Ho_Chi_Minh") == ZoneInfo("Asia/Ho_Chi_Minh")


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed distribution whose plugin declares the sections `[pager]` and `[store]`."""
    info = tmp_path / "mail-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mail\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[metrosoc.soc.run.options]\npager = mailplugin\nstore = mailplugin\n"
    )
    (tmp_path / "mailplugin.py").write_text(
        "from soc.config.options import Options\n"
        "class Mail(Options):\n    host: str = 'localhost'\n"
        "OPTIONS = Mail\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    plugins.cache_clear()
    yield
    plugins.cache_clear()
    sys.modules.pop("mailplugin", None)


@pytest.mark.usefixtures("plugin")
def test_a_plugin_declares_a_section_of_its_own_but_not_one_of_ours(tmp_path: Path) -> None:
    found = settings(tmp_path, '[pager]\nhost = "mx1"')
    assert found.config.section("pager", Options).model_dump() == {"host": "mx1"}
    assert found.store.url.startswith("sqlite:")
    with pytest.raises(ContentError, match="unknown key 'hostt'"):
        settings(tmp_path, '[pager]\nhostt = "mx1"')


@pytest.mark.parametrize("logs", [[], ["/var/log/auth.log", '/odd/"na\\me']])
def test_the_file_that_init_writes_is_valid_as_it_is_and_with_every_line_uncommented(
    tmp_path: Path, logs: list[str]
) -> None:
    text = starter(logs)
    assert [entry.path for entry in settings(tmp_path, text).inputs] == logs
    options = [
        line.removeprefix("# ")
        if line.startswith("# ") and (" = " in line or "[[" in line)
        else line
        for line in text.splitlines()
    ]
    body = "\n".join(line for line in options if not line.startswith("# "))
    assert settings(tmp_path, body).retention.days == 90
