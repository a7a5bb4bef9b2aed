"""Response wired up: the configured devices, the guard of this machine, journal and lock."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from playbooks.engine import Engine
from playbooks.guard import Guard, protect
from playbooks.holding import Drift
from playbooks.journal import Journal
from playbooks.ledger import Ledger
from playbooks.load import answering, find
from playbooks.plan import Plan, Views, from_alert, make
from playbooks.ports.ldap import Ldap, LdapOptions, LdapView
from playbooks.ports.nft import Nft, view
from playbooks.ports.simulated_filter import SimulatedFilter
from playbooks.ports.smtp import MailOptions, Smtp, SmtpView
from playbooks.ports.webhook import Webhook, WebhookOptions, WebhookView
from playbooks.runs import open_runs
from soc.errors import Refused
from soc.folders import private
from soc.model.event import Event
from soc.model.time import iso, now
from soc.run.node import node_key, only_one
from soc.run.options.playbooks import PlaybooksOptions
from soc.run.own_addresses import host_of, own, resolve
from soc.run.settings import Settings

FOLDER: Final = "playbooks"
STOP: Final = "STOP"
"""A file of this name in the folder is the kill switch."""
_SBIN: Final = "/usr/local/sbin:/usr/sbin:/sbin"

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Devices:
    """The capabilities of this machine: views that read, and ports made only where they change."""

    views: Views
    ports: Callable[[], Mapping[str, Any]]


def folder(settings: Settings) -> Path:
    """Return where journal, ledger and kill switch lie."""
    return settings.paths.state / FOLDER


def options(settings: Settings) -> PlaybooksOptions:
    """Return the section `[playbooks]`."""
    found: PlaybooksOptions = settings.config.section("playbooks", PlaybooksOptions)
    return found


def devices(settings: Settings, clock: Clock = now) -> Devices:
    """Return what is configured to be read and changed."""
    reading, changing = _packet_filter(settings, clock)
    views: dict[str, Any] = {"packet_filter": reading}
    makers: dict[str, Callable[[], Any]] = {"packet_filter": changing}
    if (directory := _directory(settings)) is not None:
        views["directory"] = LdapView(directory)
        makers["directory"] = lambda: Ldap(directory)
    if (mail := settings.config.section("mail", MailOptions)) is not None:
        views["mail"] = SmtpView(mail)
        makers["mail"] = lambda: Smtp(mail)
    if hooks := settings.config.section("webhooks", list[WebhookOptions]):
        views["webhook"] = WebhookView(hooks)
        makers["webhook"] = lambda: Webhook(hooks)
    return Devices(views, lambda: {name: made() for name, made in makers.items()})


def _directory(settings: Settings) -> LdapOptions | None:
    """Return `[directory]`, in which both lists of accounts that are never locked are one.

    Only there all names of an account are known, not just the one that was asked for.
    """
    found: LdapOptions | None = settings.config.section("directory", LdapOptions)
    if found is None:
        return None
    never = options(settings).never_touch_accounts
    return found.model_copy(update={"protected": (*found.protected, *never)})


def _packet_filter(settings: Settings, clock: Clock) -> tuple[Any, Callable[[], Any]]:
    if options(settings).packet_filter == "simulated":
        path = folder(settings) / "simulated-filter.json"
        return SimulatedFilter(clock, path).view(), lambda: SimulatedFilter(clock, path)
    program = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:{_SBIN}") or "nft"
    return view([program]), lambda: Nft([program])


def guard(settings: Settings) -> Guard:
    """Return the safety rules; raise ContentError or StoreError when they cannot be complete."""
    chosen = options(settings)
    entries = [(address, "configured") for name in chosen.never_touch for address in resolve(name)]
    entries += host_of(settings.store.url, "the store")
    if (directory := _directory(settings)) is not None:
        entries += host_of(directory.url, "the directory")
    if chosen.packet_filter != "simulated" or Path("/proc/net/route").exists():
        entries += own()
    switch = folder(settings) / STOP
    return Guard(
        protect(entries),
        ports=frozenset(chosen.never_touch_ports),
        accounts=frozenset(name.casefold() for name in chosen.never_touch_accounts),
        budget=chosen.budget,
        stopped=switch.exists,
    )


@contextmanager
def reading(settings: Settings) -> Iterator[Journal]:
    """Open journal and ledger to look at them; nothing is made, nothing is locked."""
    with Journal(folder(settings), node_key(settings.paths.state), read_only=True) as journal:
        yield journal


@contextmanager
def responding(settings: Settings, clock: Clock = now) -> Iterator[Engine]:
    """Open everything to act, alone on this state folder; raise Refused when another acts."""
    place = folder(settings)
    private(place)
    found = devices(settings, clock)
    with (
        _alone(settings.paths.state),
        Journal(place, node_key(settings.paths.state)) as journal,
    ):
        yield Engine(journal, guard(settings), found.views, found.ports(), clock)


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(only_one(state, "playbook"))
        except Refused as error:
            # It may be `soc run` that ends a lease, or a colleague: nobody to be killed.
            error.hint = "it is over in moments: try again; soc playbook status"
            raise
        yield


def reconcile(engine: Engine, actor: str) -> list[Drift]:
    """Bring ledger and devices together; runs that wait to be resumed are left alone."""
    return engine.reconcile(actor, busy=open_runs(list(engine.journal.records())))


def tend(settings: Settings, clock: Clock = now, *, start: bool = False) -> Sequence[Drift]:
    """End leases that have run out: the standing worker's turn, every few seconds.

    At its `start` everything is compared with the real state. Without anything to do the lock is
    not taken, so that people are not kept waiting. Raises what `responding` raises.
    """
    with reading(settings) as journal:
        claims = Ledger(journal.connection).claims()
    now = clock()
    if not any(start or claim.until <= iso(now) or claim.is_ahead(now) for claim in claims):
        return []
    with responding(settings, clock) as engine:
        return reconcile(engine, "soc run")


def rehearsal(alert: Event, clock: Clock) -> Plan | None:
    """Return what the playbook that answers an alert would do, seen against a simulated filter.

    None when no playbook answers it. The machine's own devices are neither read nor changed.
    """
    for name in answering(alert):
        playbook = find(name)
        views = {"packet_filter": SimulatedFilter(clock).view()}
        return make(playbook, from_alert(playbook, alert), views, Guard(protect(())), clock())
    return None


def stop(settings: Settings, *, on: bool) -> None:
    """Turn the kill switch: while it is on nothing new is changed; what is in force may end."""
    place = folder(settings)
    private(place)
    if on:
        (place / STOP).touch(mode=0o600)
    else:
        (place / STOP).unlink(missing_ok=True)
