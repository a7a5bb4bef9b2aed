"""Lock an account in OpenLDAP, so that its password opens nothing any more, for a while.

Sets pwdAccountLockedTime to the value that no time ends (password policy overlay; it heeds it when
the policy has pwdLockout TRUE). The server compares with what was planned and changes in one step,
so nobody's decision in between is overwritten. Sessions that are open already stay open.
"""

from collections.abc import Mapping
from typing import Any, Final

from playbooks.effect import Change, Lease, Outcome, Request, State, Target
from playbooks.ports.directory import LOCKED_FOR_GOOD, Account, Directory, DirectoryView
from soc.errors import Conflict, InputError, Refused
from soc.model.time import iso

CAPABILITY = "directory"
TIER = "high"
INPUTS = {"user": "the name that the account logs in with"}
OUTPUTS = {"until": "when the lock ends by itself"}
LEASE = Lease(default=8 * 3600, longest=30 * 86400)
KERNEL_ENDS = False

ATTRIBUTE: Final = "pwdAccountLockedTime"
LONGEST: Final = 128
_FIRST: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")
_OTHERS: Final = _FIRST | frozenset(".-@")


def target(arguments: Mapping[str, str]) -> Target:
    """Return whom to lock, in small letters, as directories compare without regard to case."""
    text = arguments["user"]
    # Not lower() first: it makes an ASCII k of the Kelvin sign.
    if not (text.isascii() and 0 < len(text) <= LONGEST):
        raise _wrong(text)
    name = text.lower()
    if name[0] not in _FIRST or not _OTHERS.issuperset(name):
        raise _wrong(text)
    return Target(name, {"user": name}, accounts=(name,))


def observe(target: Target, view: DirectoryView) -> State:
    """Say whether the account is locked, by what, and what it belongs to."""
    account = view.account(target.name)
    if account is None:
        raise InputError(f"the directory has no account {target.name}", hint="[directory] base")
    data = {"account": account, "protection": view.protection(account)}
    return State(_said(account), data)


def plan(request: Request, state: State) -> Change:
    """Return the modification that locks the account, and the one that takes it back."""
    account: Account = state.data["account"]
    if why := state.data["protection"]:
        raise Refused(f"{request.target.name} is never locked: {why}", where=account.dn)
    entry = {"dn": account.dn, "entryUUID": account.uuid}
    return Change(
        summary=f"lock {account.dn}: no login with its password",
        do={**entry, **_modification(account.locked, LOCKED_FOR_GOOD)},
        undo={**entry, **_modification(LOCKED_FOR_GOOD, account.locked)},
        needed=account.locked != LOCKED_FOR_GOOD,
        cuts_off=(f"the person behind {account.dn}", *(f"member of {g}" for g in account.groups)),
    )


def apply(request: Request, change: Change, port: Directory) -> None:
    """Lock the account, unless it has become another one or was changed since the plan."""
    do: Any = change.do
    account = port.account(request.target.name)
    if account is None or account.uuid != do["entryUUID"]:
        raise _changed(do["dn"])
    if why := port.protection(account):
        raise Refused(f"{request.target.name} is never locked: {why}", where=account.dn)
    if account.locked == LOCKED_FOR_GOOD:
        return
    if port.replace_lock(account.dn, do["delete"].get(ATTRIBUTE, ""), LOCKED_FOR_GOOD):
        return
    now = port.account(request.target.name)
    if now is None or now.locked != LOCKED_FOR_GOOD:
        raise _changed(account.dn)


def verify(request: Request, view: DirectoryView) -> Outcome:
    """Read back whether the account is locked, and whether the directory heeds it."""
    account = view.account(request.target.name)
    if account is None:
        return Outcome(False, f"the directory has no account {request.target.name}")
    if account.locked != LOCKED_FOR_GOOD:
        return Outcome(False, f"{account.dn} is {_said(account)}")
    if account.usable:
        detail = f"{account.dn} is marked as locked, but its password policy has no pwdLockout TRUE"
        return Outcome(False, detail)
    known = "" if account.usable is False else "; the directory does not say whether it heeds that"
    return Outcome(True, f"{account.dn} is locked{known}", {"until": iso(request.until)})


def revert(request: Request, change: Change, port: Directory) -> None:
    """Put back what was there before; an unlocked or another account is left as it is."""
    undo: Any = change.undo
    account = port.account(request.target.name)
    if undo is None or account is None or account.uuid != undo["entryUUID"]:
        return
    if account.locked == LOCKED_FOR_GOOD:
        port.replace_lock(account.dn, LOCKED_FOR_GOOD, undo["add"].get(ATTRIBUTE, ""))


def _said(account: Account) -> str:
    if not account.locked:
        return "not locked"
    if account.locked == LOCKED_FOR_GOOD:
        return "locked for good"
    return f"locked since {account.locked} after failed logins"


def _modification(old: str, new: str) -> dict[str, Any]:
    """Return the values that one LDAP modification (RFC 4511 section 4.6) deletes and adds."""
    return {
        "delete": {ATTRIBUTE: old} if old else {},
        "add": {ATTRIBUTE: new} if new else {},
    }


def _changed(dn: str) -> Conflict:
    return Conflict(f"{dn} was changed since the plan was made", hint="plan again")


def _wrong(text: str) -> InputError:
    return InputError(
        f"{text[:80]!r} is not the name of an account", hint="letters, digits and . _ - @ only"
    )
