"""A configuration says where a secret lies; the secret itself appears nowhere."""

import sys
import traceback
from pathlib import Path
from types import ModuleType

import pytest

from soc.config import SecretRef, Sources, load
from soc.config.options import Options
from soc.errors import ContentError

CANARY = "tr0ub4dor-canary"


class Section(Options):
    key: SecretRef


def loaded(folder: Path, value: str) -> Section:
    (folder / "soc.toml").write_text(f'[remote]\nkey = "{value}"\n')
    sources = Sources({}, {"HOME": str(folder)}, folder, folder / "none")
    return load({"remote": Section}, sources).section("remote", Section)


def secret_file(folder: Path, mode: int = 0o600, content: bytes = CANARY.encode() + b"\n") -> Path:
    path = folder / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_file_is_read_when_asked_for(tmp_path: Path) -> None:
    section = loaded(tmp_path, f"file:{secret_file(tmp_path)}")
    assert section.key.resolve() == CANARY


def test_a_variable_is_read_when_asked_for(tmp_path: Path) -> None:
    assert loaded(tmp_path, "env:TOKEN").key.resolve({"TOKEN": CANARY}) == CANARY


def test_a_systemd_credential_is_read_when_asked_for(tmp_path: Path) -> None:
    secret_file(tmp_path, 0o400)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert SecretRef.parse("credential:secret").resolve(environ) == CANARY
    with pytest.raises(ContentError, match="CREDENTIALS_DIRECTORY"):
        SecretRef.parse("credential:secret").resolve({})


def test_a_keyring_is_asked_where_the_package_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = SecretRef.parse("keyring:soc/elastic")
    monkeypatch.setattr("soc.config.secret.find_spec", lambda name: None)
    with pytest.raises(ContentError, match="keyring is not installed"):
        reference.resolve()
    fake = ModuleType("keyring")
    fake.get_password = lambda service, name: f"{service}+{name}"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", fake)
    monkeypatch.setattr("soc.config.secret.find_spec", lambda name: object())
    assert reference.resolve() == "soc+elastic"


@pytest.mark.parametrize(
    "literal", [CANARY, f"x:{CANARY}", f"env:{CANARY} ", f"file:{CANARY}", f"keyring:{CANARY}", ""]
)
def test_a_literal_secret_is_refused_and_not_repeated(tmp_path: Path, literal: str) -> None:
    with pytest.raises(ContentError, match="reference") as caught:
        loaded(tmp_path, literal)
    assert caught.value.where == f"{tmp_path / 'soc.toml'}:2"
    assert CANARY not in "".join(traceback.format_exception(caught.value)).replace(
        str(tmp_path), ""
    )


def test_neither_text_nor_dump_of_anything_holds_the_secret(tmp_path: Path) -> None:
    (tmp_path / "soc.toml").write_text(f'[remote]\nkey = "file:{secret_file(tmp_path)}"\n')
    sources = Sources({}, {"HOME": str(tmp_path)}, tmp_path, tmp_path / "none")
    config = load({"remote": Section}, sources)
    section = config.section("remote", Section)
    section.key.resolve()
    shown = f"{config!r} {config.rows()} {section!r} {section.model_dump_json()} {section.key}"
    assert CANARY not in shown
    assert f"file:{tmp_path / 'secret'}" in shown


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o666])
def test_a_secret_that_others_can_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    path = secret_file(tmp_path, mode)
    with pytest.raises(ContentError, match="others") as caught:
        SecretRef("file", str(path)).resolve()
    assert caught.value.hint == f"chmod 600 {path}"


def test_a_group_may_read_a_secret(tmp_path: Path) -> None:
    assert SecretRef("file", str(secret_file(tmp_path, 0o640))).resolve() == CANARY


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_a_file_without_a_secret_is_named(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ContentError, match="secret cannot be read") as caught:
        SecretRef("file", str(secret_file(tmp_path, content=content))).resolve()
    assert caught.value.where == f"file:{tmp_path / 'secret'}"


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(ContentError, match="No such file"):
        SecretRef("file", "/no/such/file").resolve()
    with pytest.raises(ContentError, match="not set"):
        SecretRef("env", "NOT_SET").resolve({})
