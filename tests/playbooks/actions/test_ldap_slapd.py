"""Locking an account, against a real OpenLDAP server."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from playbooks.actions import ldap_lock_account as lock
from playbooks.effect import Change, Request, State
from playbooks.ports.directory import LOCKED_FOR_GOOD
from playbooks.ports.ldap import Ldap, LdapOptions, LdapView
from soc.config import SecretRef
from soc.errors import Conflict, InputError, Refused, SocError, StoreError
from tests.playbooks.servers.cutting import CuttingRelay
from tests.playbooks.servers.hostile import USERS
from tests.playbooks.servers.programs import free_port, optional, program
from tests.playbooks.servers.slapd import BASE, RESPONDER, SECRET, Slapd, running

pytestmark = pytest.mark.slow

optional("ldap3", "respond")
program("slapd", "slapd")
program("ldapwhoami", "ldap-utils")

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
EARLIER = "20261122013000Z"
LATER = "20261122020000Z"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with running(tmp_path_factory.mktemp("slapd")) as slapd:
        yield slapd


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> SecretRef:
    path = tmp_path_factory.mktemp("secret") / "bind"
    path.write_text(SECRET + "\n")
    path.chmod(0o600)
    return SecretRef.parse(f"file:{path}")


def options(server: Slapd, secret: SecretRef, **changes: Any) -> LdapOptions:
    fields: dict[str, Any] = {
        "url": server.url,
        "base": BASE,
        "bind": RESPONDER,
        "secret": secret,
        "protected": ("Duty",),
        "ca": server.chain,
        "timeout": 3,
    }
    return LdapOptions(**fields | changes)


@pytest.fixture
def port(server: Slapd, secret: SecretRef) -> Iterator[Ldap]:
    yield Ldap(options(server, secret))
    for user in ("an.nguyen", "binh.tran", "chi.le", "lax"):
        server.set_lock(user, "")


def request(user: str, key: str = "") -> Request:
    return Request(lock.target({"user": user}), 3600, NOW, key)


def planned(user: str, view: LdapView) -> tuple[Request, Change]:
    wanted = request(user)
    return wanted, lock.plan(wanted, lock.observe(wanted.target, view))


def test_login_works_is_refused_and_works_again(server: Slapd, port: Ldap) -> None:
    before = server.entries()
    wanted, change = planned("an.nguyen", port)
    assert change.needed
    assert server.login_works("an.nguyen")
    assert not lock.verify(wanted, port).ok

    lock.apply(wanted, change, port)

    assert not server.login_works("an.nguyen")
    assert server.login_works("binh.tran")
    outcome = lock.verify(wanted, port)
    assert outcome.ok
    assert outcome.detail == f"uid=an.nguyen,{BASE} is locked"
    assert outcome.outputs == {"until": "2026-11-22T10:00:00.000000Z"}

    lock.revert(wanted, change, port)

    assert server.login_works("an.nguyen")
    assert server.entries() == before


def test_the_plan_shows_the_modification_its_inverse_and_who_would_notice(port: Ldap) -> None:
    wanted = request("An.Nguyen")
    state = lock.observe(wanted.target, port)
    change = lock.plan(wanted, state)

    assert state.summary == "not locked"
    entry = {"dn": f"uid=an.nguyen,{BASE}", "entryUUID": state.data["account"].uuid}
    permanent = {"pwdAccountLockedTime": LOCKED_FOR_GOOD}
    assert change.do == {**entry, "delete": {}, "add": permanent}
    assert change.undo == {**entry, "delete": permanent, "add": {}}
    assert change.cuts_off == (
        f"the person behind uid=an.nguyen,{BASE}",
        f"member of cn=operators,{BASE}",
    )


def test_twice_is_once(server: Slapd, port: Ldap) -> None:
    wanted, change = planned("an.nguyen", port)
    lock.apply(wanted, change, port)
    lock.apply(wanted, change, port)
    lock.apply(wanted, planned("an.nguyen", port)[1], port)
    assert server.lock_of("an.nguyen") == LOCKED_FOR_GOOD
    for _ in range(3):
        lock.revert(wanted, change, port)
        assert server.login_works("an.nguyen")


def test_an_account_that_somebody_locked_before_stays_locked(server: Slapd, port: Ldap) -> None:
    server.set_lock("binh.tran", LOCKED_FOR_GOOD)
    wanted, change = planned("binh.tran", port)
    assert not change.needed
    assert lock.verify(wanted, port).ok
    assert not server.login_works("binh.tran")


def test_a_lock_after_failed_logins_comes_back_as_it_was(server: Slapd, port: Ldap) -> None:
    server.set_lock("chi.le", EARLIER)
    wanted, change = planned("chi.le", port)
    assert (
        lock.observe(wanted.target, port).summary == f"locked since {EARLIER} after failed logins"
    )
    lock.apply(wanted, change, port)
    assert server.lock_of("chi.le") == LOCKED_FOR_GOOD
    lock.revert(wanted, change, port)
    assert server.lock_of("chi.le") == EARLIER


def test_the_count_of_failed_logins_goes_with_the_lock_as_documented(
    server: Slapd, port: Ldap
) -> None:
    server.mistype("binh.tran")
    server.mistype("binh.tran")
    assert server.failed_logins("binh.tran") > 0
    wanted, change = planned("binh.tran", port)
    lock.apply(wanted, change, port)
    lock.revert(wanted, change, port)
    assert server.failed_logins("binh.tran") == 0


@pytest.mark.parametrize(("planned_at", "then"), [("", EARLIER), (EARLIER, LATER), (EARLIER, "")])
def test_nobodys_decision_in_between_is_overwritten(
    planned_at: str, then: str, server: Slapd, port: Ldap
) -> None:
    server.set_lock("chi.le", planned_at)
    wanted, change = planned("chi.le", port)
    server.set_lock("chi.le", then)
    with pytest.raises(Conflict, match="plan again"):
        lock.apply(wanted, change, port)
    assert server.lock_of("chi.le") == then
    lock.revert(wanted, change, port)
    assert server.lock_of("chi.le") == then


def test_an_account_made_anew_under_the_name_is_another_one(server: Slapd, port: Ldap) -> None:
    entry = (
        f"dn: {server.dn('gone')}\nobjectClass: inetOrgPerson\nuid: gone\ncn: gone\nsn: Example\n"
        "userPassword: gone-password\n"
    )
    server.add(entry)
    wanted, change = planned("gone", port)
    lock.apply(wanted, change, port)
    server.delete(server.dn("gone"))
    assert not lock.verify(wanted, port).ok
    lock.revert(wanted, change, port)
    with pytest.raises(Conflict):
        lock.apply(wanted, change, port)

    server.add(entry)
    with pytest.raises(Conflict):
        lock.apply(wanted, change, port)
    assert server.login_works("gone")
    server.set_lock("gone", LOCKED_FOR_GOOD)
    lock.revert(wanted, change, port)
    assert server.lock_of("gone") == LOCKED_FOR_GOOD
    server.delete(server.dn("gone"))


def test_a_lock_that_the_directory_does_not_heed_is_no_success(server: Slapd, port: Ldap) -> None:
    wanted, change = planned("lax", port)
    lock.apply(wanted, change, port)
    assert server.login_works("lax")
    outcome = lock.verify(wanted, port)
    assert not outcome.ok
    assert "pwdLockout" in outcome.detail


@pytest.mark.parametrize("user", ["duty", "DUTY", "responder"])
def test_protected_accounts_are_refused_when_planned_and_when_applied(
    user: str, server: Slapd, port: Ldap, secret: SecretRef
) -> None:
    before = server.entries()
    wanted = request(user)
    with pytest.raises(Refused, match="never locked"):
        planned(user, port)
    account = port.account(user)
    change = lock.plan(wanted, State("", {"account": account, "protection": ""}))
    with pytest.raises(Refused, match="never locked"):
        lock.apply(wanted, change, port)
    assert server.entries() == before


def test_several_entries_or_none_are_refused(port: Ldap) -> None:
    with pytest.raises(Refused, match="several"):
        planned("double", port)
    with pytest.raises(InputError, match="no account"):
        planned("nobody", port)


@pytest.mark.parametrize("text", USERS[:-1], ids=lambda text: ascii(text[:16]))
def test_hostile_names_are_inert_even_without_that(text: str, port: Ldap) -> None:
    found = port.account(text)
    # The server may fold blanks, width and case; it never finds more than one account or another.
    assert found is None or found.names == ("an.nguyen",)
    if "*" in text or "(" in text or "=" in text:
        assert found is None


def _is_modify(sent: bytes) -> bool:
    return b"pwdAccountLockedTime" in sent and LOCKED_FOR_GOOD.encode() in sent


@pytest.mark.parametrize("deliver", [True, False], ids=["it arrived", "it was lost"])
def test_cut_in_the_middle_the_directory_itself_says_what_holds(
    deliver: bool, server: Slapd, port: Ldap, secret: SecretRef
) -> None:
    wanted, change = planned("an.nguyen", port)
    with CuttingRelay(server.port, _is_modify, deliver=deliver) as relay:
        plain = {"url": f"ldap://127.0.0.1:{relay.port}", "starttls": False}
        cut = Ldap(options(server, secret, **plain))
        with pytest.raises(StoreError, match="does not answer"):
            lock.apply(wanted, change, cut)
    deadline = time.monotonic() + 5
    while deliver and not server.lock_of("an.nguyen") and time.monotonic() < deadline:
        time.sleep(0.02)

    assert lock.verify(wanted, port).ok is deliver
    lock.apply(wanted, change, port)
    assert lock.verify(wanted, port).ok
    lock.revert(wanted, change, port)
    assert server.login_works("an.nguyen")


def test_a_server_that_is_gone_or_silent_is_told_in_time(server: Slapd, secret: SecretRef) -> None:
    gone = LdapView(options(server, secret, url=f"ldap://127.0.0.1:{free_port()}"))
    with pytest.raises(StoreError, match="does not answer"):
        gone.account("an.nguyen")
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        place = f"ldap://127.0.0.1:{deaf.getsockname()[1]}"
        silent = LdapView(options(server, secret, url=place, timeout=1))
        began = time.monotonic()
        with pytest.raises(StoreError, match="does not answer"):
            silent.account("an.nguyen")
        assert time.monotonic() - began < 4


def test_a_server_that_drips_is_cut(secret: SecretRef, server: Slapd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        place = f"ldap://127.0.0.1:{listener.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(StoreError, match="does not answer"):
            LdapView(options(server, secret, url=place, timeout=1)).account("an.nguyen")
        assert time.monotonic() - began < 4
        thread.join()


def drip(listener: socket.socket) -> None:
    """Begin an answer of 1 MiB and go on with a byte every 100 ms, at most for 10 s."""
    connection, _ = listener.accept()
    with connection, suppress(OSError):
        connection.sendall(b"\x30\x83\x10\x00\x00")
        for _ in range(100):
            connection.sendall(b"\x02")
            time.sleep(0.1)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_tls_from_the_start(name: str, server: Slapd, secret: SecretRef) -> None:
    view = LdapView(options(server, secret, url=f"ldaps://{name}:{server.tls_port}"))
    assert view.account("an.nguyen") is not None


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
def test_a_certificate_that_is_not_trusted_gets_no_password(
    scheme: str, server: Slapd, secret: SecretRef
) -> None:
    port = server.port if scheme == "ldap" else server.tls_port
    wrong = options(server, secret, url=f"{scheme}://127.0.0.1:{port}", ca=None)
    with pytest.raises(StoreError, match="does not answer"):
        LdapView(wrong).account("an.nguyen")


def test_a_certificate_of_another_host_gets_no_password(server: Slapd, secret: SecretRef) -> None:
    with CuttingRelay(server.tls_port, lambda sent: False, host="127.0.0.2") as relay:
        other = options(server, secret, url=f"ldaps://127.0.0.2:{relay.port}")
        with pytest.raises(StoreError, match="does not answer"):
            LdapView(other).account("an.nguyen")


def test_a_view_cannot_change_anything(server: Slapd, secret: SecretRef) -> None:
    view = LdapView(options(server, secret))
    assert not hasattr(view, "replace_lock")
    # What it holds refuses as well.
    with view._session() as session, pytest.raises(Exception, match="read-only"):
        session.modify(server.dn("an.nguyen"), {})


def test_wrong_secret_and_missing_rights_are_told_without_the_secret(
    server: Slapd, tmp_path: Path, secret: SecretRef
) -> None:
    path = tmp_path / "wrong"
    path.write_text("canary-wrong")
    path.chmod(0o600)
    view = LdapView(options(server, SecretRef.parse(f"file:{path}")))
    with pytest.raises(StoreError, match="invalidCredentials") as refused:
        view.account("an.nguyen")
    assert "canary" not in str(refused.value) + repr(refused.value.__cause__)

    person = tmp_path / "person"
    person.write_text("an.nguyen-password")
    person.chmod(0o600)
    weak = options(
        server, SecretRef.parse(f"file:{person}"), bind=server.dn("an.nguyen"), protected=()
    )
    with pytest.raises(SocError) as denied:
        Ldap(weak).replace_lock(server.dn("binh.tran"), "", LOCKED_FOR_GOOD)
    assert "insufficientAccessRights" in str(denied.value) or "noSuchObject" in str(denied.value)
    assert SECRET not in repr(options(server, secret))
