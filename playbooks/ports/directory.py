"""The directory of accounts, as far as locking one of them goes."""

from dataclasses import dataclass
from typing import Final, Protocol

LOCKED_FOR_GOOD: Final = "000001010000Z"
"""The value of pwdAccountLockedTime that no time ends (draft-behera-ldap-password-policy 5.3.3)."""


@dataclass(frozen=True, slots=True)
class Account:
    """One entry: `uuid` stays when it is renamed, `names` are all it can log in with.

    `locked` is pwdAccountLockedTime, "" when there is none. `usable` is what the directory itself
    says about logging in, None when it does not say. `groups` are those it is a member of.
    """

    dn: str
    uuid: str
    names: tuple[str, ...]
    locked: str
    usable: bool | None
    groups: tuple[str, ...] = ()


class DirectoryView(Protocol):
    """Reads the directory; raises StoreError when it does not answer."""

    def account(self, user: str) -> Account | None:
        """Return the account of a user, None without one; raise Refused when several match."""
        ...

    def protection(self, account: Account) -> str:
        """Return why an account must not be locked, "" when it may be."""
        ...


class Directory(DirectoryView, Protocol):
    """Changes the directory."""

    def replace_lock(self, dn: str, old: str, new: str) -> bool:
        """Set pwdAccountLockedTime ("": absent) if it is `old` still; tell whether it was."""
        ...
