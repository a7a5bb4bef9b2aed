"""A playbook that locks an account and mails, over real servers and the real engine."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from playbooks.engine import Engine, Origin, Report
from playbooks.extension import EXTENSION
from playbooks.guard import Guard
from playbooks.journal import Journal
from playbooks.load import loads
from playbooks.plan import Plan, make
from playbooks.ports.directory import LOCKED_FOR_GOOD
from playbooks.ports.ldap import Ldap, LdapOptions, LdapView
from playbooks.ports.messages import Message
from playbooks.ports.smtp import MailOptions, Smtp, SmtpView
from soc.config import SecretRef
from soc.errors import Refused
from tests.playbooks.kit import HEAD, KEY, Clock, end, sid
from tests.playbooks.servers.mail import Mailbox
from tests.playbooks.servers.mail import running as mail_server
from tests.playbooks.servers.programs import optional, program
from tests.playbooks.servers.slapd import BASE, RESPONDER, SECRET, USERS, Slapd, running
from tests.playbooks.servers.tls import loopback

optional("ldap3", "respond")
program("slapd", "slapd")
program("ldapwhoami", "ldap-utils")

EARLIER = "20261122013000Z"
AGENT = sid("security-category", 0)
PLAYBOOK = f"""\
{HEAD}playbook_variables:
  __user__: {{type: string, external: true}}
workflow_start: {sid("start", 9)}
workflow:
  {sid("start", 9)}: {{type: start, on_completion: {sid("action", 1)}}}
  {sid("action", 1)}:
    type: action
    name: lock
    commands: [{{type: soc-action}}]
    agent: {AGENT}
    in_args: [__user__]
    on_success: {sid("action", 2)}
    step_extensions:
      {EXTENSION}:
        action: ldap_lock_account
        arguments: {{user: "__user__:value"}}
        lease: 600
        undo: revert
  {sid("action", 2)}:
    type: action
    name: mail
    commands: [{{type: soc-action}}]
    agent: {AGENT}
    in_args: [__user__]
    on_completion: {sid("end", 1)}
    step_extensions:
      {EXTENSION}:
        action: notify_mail
        arguments:
          to: duty@city.example
          subject: Đã khoá một tài khoản
          text: Tài khoản này bị khoá
          about: "__user__:value"
        undo: none
  {end(1)}"""


class Killed(BaseException):
    """Stands for SIGKILL: nobody catches it."""


class DyingLdap(Ldap):
    """Locks, and the program dies before it learns that."""

    def replace_lock(self, dn: str, old: str, new: str) -> bool:
        super().replace_lock(dn, old, new)
        raise Killed


class DyingSmtp(Smtp):
    """Sends, and the program dies before it learns that."""

    def send(self, message: Message) -> None:
        super().send(message)
        raise Killed


@dataclass
class Place:
    """An engine over real servers."""

    folder: Path
    slapd: Slapd
    box: Mailbox
    clock: Clock

    def engine(self, directory: type[Ldap] = Ldap, mail: type[Smtp] = Smtp) -> Engine:
        secret = self.folder / "bind"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        accounts = LdapOptions(
            url=self.slapd.url,
            base=BASE,
            bind=RESPONDER,
            secret=SecretRef.parse(f"file:{secret}"),
            ca=self.slapd.chain,
        )
        post = MailOptions(
            host="127.0.0.1",
            port=self.box.port,
            sender="soc@city.example",
            recipients=("duty@city.example",),
            ca=loopback()[0],
        )
        return Engine(
            self.journal,
            Guard((), accounts=frozenset({"duty"})),
            {"directory": LdapView(accounts), "mail": SmtpView(post)},
            {"directory": directory(accounts), "mail": mail(post)},
            self.clock,
        )

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder / "playbooks", KEY)

    def plan(self, engine: Engine, user: str = "an.nguyen") -> Plan:
        playbook = loads(PLAYBOOK, "lock.yml")
        return make(playbook, {"__user__": user}, engine.views, engine.guard, self.clock())

    def run(self, engine: Engine, user: str = "an.nguyen") -> Report:
        plan = self.plan(engine, user)
        return engine.start("run-1", plan.playbook, plan.inputs, plan.hash, Origin("lan"))


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with running(tmp_path_factory.mktemp("slapd")) as server:
        yield server


@pytest.fixture
def place(tmp_path: Path, slapd: Slapd) -> Iterator[Place]:
    with mail_server(loopback()[1]) as box:
        found = Place(tmp_path, slapd, box, Clock())
        yield found
        found.journal.close()
    slapd.set_lock("an.nguyen", "")


def test_locked_told_and_undone(place: Place) -> None:
    before = place.slapd.entries()
    report = place.run(place.engine())
    assert report.status == "done"
    assert not place.slapd.login_works("an.nguyen")
    assert len(place.box.mails) == 1
    assert [claim.action for claim in report.in_force] == ["ldap_lock_account"]

    place.engine().undo("run-1", "lan")
    assert place.slapd.login_works("an.nguyen")
    assert place.slapd.entries() == before


def test_the_lease_ends_when_the_worker_looks(place: Place) -> None:
    place.run(place.engine())
    place.clock.turn(590)
    assert place.engine().reconcile("worker") == []
    assert not place.slapd.login_works("an.nguyen")
    place.clock.turn(11)
    place.engine().reconcile("worker")
    assert place.slapd.login_works("an.nguyen")


def test_killed_after_the_lock_what_was_there_before_still_comes_back(place: Place) -> None:
    place.slapd.set_lock("an.nguyen", EARLIER)
    with pytest.raises(Killed):
        place.run(place.engine(directory=DyingLdap))
    assert place.slapd.lock_of("an.nguyen") == LOCKED_FOR_GOOD
    assert place.engine().resume("run-1").status == "done"
    assert len(place.box.mails) == 1

    place.engine().undo("run-1", "lan")
    assert place.slapd.lock_of("an.nguyen") == EARLIER


def test_killed_after_the_mail_a_second_copy_comes_with_the_same_id(place: Place) -> None:
    with pytest.raises(Killed):
        place.run(place.engine(mail=DyingSmtp))
    assert place.engine().resume("run-1").status == "done"
    first, second = place.box.mails
    assert first["Message-ID"] == second["Message-ID"]
    assert first.get_content() == second.get_content()


def test_somebody_elses_lock_is_not_ours_to_end(place: Place) -> None:
    place.slapd.set_lock("an.nguyen", LOCKED_FOR_GOOD)
    report = place.run(place.engine())
    assert report.status == "done"
    assert not report.in_force
    place.engine().undo("run-1", "lan")
    assert place.slapd.lock_of("an.nguyen") == LOCKED_FOR_GOOD


def test_a_lock_that_the_directory_does_not_heed_is_not_left_behind(place: Place) -> None:
    before = place.slapd.entries()
    report = place.run(place.engine(), USERS[-1])  # its policy has pwdLockout FALSE
    assert report.status == "failed"
    assert "not in force" in report.detail
    assert place.slapd.entries() == before


def test_the_guard_knows_accounts_in_every_spelling(place: Place) -> None:
    for user in ("duty", "DUTY", "Duty"):
        with pytest.raises(Refused, match="never touched"):
            place.run(place.engine(), user)
    assert not place.box.mails


def test_no_secret_comes_into_the_plan_or_the_journal(place: Place) -> None:
    engine = place.engine()
    assert SECRET not in repr(place.plan(engine).as_dict())
    place.run(engine)
    place.journal.close()
    files = [path for path in (place.folder / "playbooks").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
