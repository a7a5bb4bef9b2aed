"""Locking an account: names, configuration and the contract, without a server."""

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from playbooks.actions import ldap_lock_account as lock
from playbooks.effect import action
from playbooks.ports.ldap import LdapOptions
from soc.config import SecretRef
from soc.errors import InputError
from tests.playbooks.servers.hostile import USERS

SECRET = SecretRef.parse("env:BIND")


@pytest.mark.parametrize("text", USERS, ids=lambda text: ascii(text[:16]))
def test_hostile_names_are_refused_and_never_sent(text: str) -> None:
    with pytest.raises(InputError) as caught:
        lock.target({"user": text})
    assert len(str(caught.value)) < 300


@given(st.text(max_size=200))
def test_what_is_taken_is_plain_and_written_anew(text: str) -> None:
    try:
        found = lock.target({"user": text})
    except InputError:
        return
    assert found.name == text.lower()
    assert found.accounts == (found.name,)
    assert set(found.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.-@")
    assert lock.target(found.arguments) == found


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "http://directory.example"},
        {"url": "ldap://"},
        {"url": "ldap://name:secret@directory.example"},
        {"url": "ldap://directory.example", "starttls": False},
        {"url": "ldap://directory.example:port"},
        {"attribute": "uid)(x"},
    ],
)
def test_a_configuration_that_would_be_unsafe_is_refused(
    changes: dict[str, Any],
) -> None:
    fields: dict[str, Any] = {"url": "ldaps://d.example", "base": "dc=x", "bind": "cn=x,dc=x"}
    fields["secret"] = SECRET
    assert LdapOptions(**fields).starttls
    with pytest.raises(ValidationError):
        LdapOptions(**{**fields, **changes})


def test_the_contract_is_kept() -> None:
    found = action("ldap_lock_account")
    assert found.lease is not None
    assert not found.kernel_ends
    assert found.revert is not None


def test_importing_the_action_does_not_import_the_library() -> None:
    script = "import sys, playbooks.actions.ldap_lock_account; sys.exit('ldap3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
