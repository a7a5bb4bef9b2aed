"""Accounts in OpenLDAP (or another directory with the password policy's attributes) over LDAP.

`ldap3` (extra `respond`) speaks the protocol. It is kept behind this file: its last release is of
2021, it follows referrals unless told not to and leaves sockets open when a connection fails.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from ssl import create_default_context
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from playbooks.ports.deadline import deadline
from playbooks.ports.directory import Account
from playbooks.ports.local import is_this_machine
from soc.config import SecretRef
from soc.config.options import Options
from soc.errors import ContentError, Refused, StoreError

LOCK: Final = "pwdAccountLockedTime"
USABILITY: Final = "1.3.6.1.4.1.42.2.27.9.5.8"
"""Account usability control (slapo-ppolicy(5)): the server's own word on whether a login works."""
_NOT_AVAILABLE: Final = 0xA1
_AVAILABLE: Final = 0x80
_CHANGED: Final = (16, 19, 20)
"""noSuchAttribute, constraintViolation (a second value), attributeOrValueExists (RFC 4511 A.2)."""
_SUCCESS: Final = 0
_SIZE_LIMIT: Final = 4
_GROUPS: Final = 50


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("ldap", "ldaps") or not parts.hostname or parts.path.strip("/"):
        raise ValueError("must be ldaps://host or ldap://host, with or without a port")
    if parts.username is not None or parts.query or parts.fragment or not _port_is_valid(text):
        raise ValueError("must be ldaps://host or ldap://host, with or without a port")
    return text


def _port_is_valid(text: str) -> bool:
    try:
        return urlsplit(text).port != 0
    except ValueError:
        return False


def _attribute(text: str) -> str:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,63}", text) is None:
        raise ValueError("must be the name of an attribute, such as uid")
    return text


class LdapOptions(Options):
    """`[directory]`: where accounts are, and as whom they are read and locked.

    `ldap://` goes on with STARTTLS; `starttls = false` is for this machine only. `ca` holds the
    certificates to trust, by default the system's. `timeout` is in seconds, for one conversation.
    """

    url: Annotated[str, AfterValidator(_url)]
    base: Annotated[str, Field(min_length=1)]
    bind: Annotated[str, Field(min_length=1)]
    secret: SecretRef
    attribute: Annotated[str, AfterValidator(_attribute)] = "uid"
    protected: tuple[str, ...] = ()
    starttls: bool = True
    ca: Path | None = None
    timeout: Annotated[int, Field(ge=1, le=60)] = 10

    @model_validator(mode="after")
    def _encrypted(self) -> "LdapOptions":
        parts = urlsplit(self.url)
        if parts.scheme == "ldap" and not self.starttls and not is_this_machine(parts.hostname):
            raise ValueError("a password does not go over a network without TLS: starttls = true")
        return self


class LdapView:
    """Reads accounts; its connections refuse to change anything."""

    _READ_ONLY = True

    def __init__(self, options: LdapOptions) -> None:
        self._options = options

    def account(self, user: str) -> Account | None:
        """Return the account of a user, None without one; raise Refused when several match."""
        options, ldap3 = self._options, _ldap3()
        with self._session() as session:
            found = _search(
                session,
                options.base,
                f"({options.attribute}={_escaped(user)})",
                [options.attribute, "entryUUID", LOCK],
                2,
                [(USABILITY, False, None)],
            )
            if len(found) > 1:
                raise Refused(f"{user} is not one account but several below {options.base}")
            if not found:
                return None
            dn, name = _escaped(found[0]["dn"]), _escaped(user)
            members = f"(|(member={dn})(uniqueMember={dn})(memberUid={name}))"
            groups = _search(session, options.base, members, [ldap3.NO_ATTRIBUTES], _GROUPS)
        return _account(found[0], options.attribute, groups)

    def protection(self, account: Account) -> str:
        """Return why an account must not be locked, "" when it may be."""
        if _folded(account.dn) == _folded(self._options.bind):
            return "it is the account that locks the others"
        listed = {name.casefold() for name in self._options.protected}
        for name in account.names:
            if name.casefold() in listed:
                return f"{name} is on the list of protected accounts"
        return ""

    @contextmanager
    def _session(self) -> Iterator[Any]:
        options, ldap3 = self._options, _ldap3()
        parts = urlsplit(options.url)
        secret = options.secret.resolve()
        failures = (ldap3.core.exceptions.LDAPException, OSError)
        session = None
        try:
            server = ldap3.Server(
                parts.hostname,
                port=parts.port or (636 if parts.scheme == "ldaps" else 389),
                use_ssl=parts.scheme == "ldaps",
                tls=_tls(options.ca, parts.hostname or ""),
                get_info=ldap3.NONE,
                connect_timeout=options.timeout,
                # ldap3 leaves the socket open of an address that does not answer before the next.
                mode=ldap3.IP_V4_PREFERRED,
            )
            session = ldap3.Connection(
                server,
                options.bind,
                secret,
                read_only=self._READ_ONLY,
                auto_referrals=False,
                receive_timeout=options.timeout,
                check_names=False,
            )
            with deadline(options.timeout, lambda: session and session.socket):
                self._bind(session, encrypt=parts.scheme == "ldap" and options.starttls)
                yield session
        except failures as error:
            raise StoreError(
                f"the directory does not answer: {type(error).__name__}",
                where=options.url,
                hint="is slapd running, and is its certificate trusted ([directory] ca)?",
            ) from None  # the library's errors may quote what was sent
        finally:
            _close(session)

    def _bind(self, session: Any, *, encrypt: bool) -> None:  # noqa: ANN401 - ldap3 is untyped
        session.open()
        if encrypt:
            session.start_tls()
        if not session.bind():
            raise StoreError(
                f"the directory refuses the account [directory] bind: {_why(session)}",
                where=self._options.url,
                hint=f"check {self._options.bind} and its secret {self._options.secret}",
            )


class Ldap(LdapView):
    """Reads and locks accounts."""

    _READ_ONLY = False

    def replace_lock(self, dn: str, old: str, new: str) -> bool:
        """Set pwdAccountLockedTime ("": absent) if it is `old` still; tell whether it was.

        One modification removes the old value and adds the new one, so that the server compares.
        Raises StoreError when it refuses or when nobody knows whether it did it.
        """
        ldap3 = _ldap3()
        changes = [(ldap3.MODIFY_DELETE, [old])] if old else []
        changes += [(ldap3.MODIFY_ADD, [new])] if new else []
        with self._session() as session:
            if session.modify(dn, {LOCK: changes}):
                return True
            if session.result["result"] in _CHANGED:
                return False
            raise StoreError(
                f"the directory refuses to change {LOCK}: {_why(session)}",
                where=self._options.url,
                hint="see docs/actions.md: the password policy overlay and the access rules",
            )


@cache
def _ldap3() -> Any:  # noqa: ANN401 - it has no types
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # its names for pyasn1's tables
            return import_module("ldap3")
    except ImportError as error:
        raise ContentError(
            "locking accounts needs the package ldap3", hint="pip install 'metrosoc[respond]'"
        ) from error


def _tls(ca: Path | None, host: str) -> Any:  # noqa: ANN401
    """Return TLS for the library, made by the standard library: chain, host name and SNI."""
    context = create_default_context(cafile=ca)

    def wrap_socket(connection: Any, do_handshake: bool = False) -> None:  # noqa: ANN401
        connection.socket = context.wrap_socket(
            connection.socket, do_handshake_on_connect=False, server_hostname=host
        )
        connection.socket.do_handshake()  # only now, so that the deadline can cut it

    tls = _ldap3().Tls()
    tls.wrap_socket = wrap_socket  # its own one needs ssl.match_hostname, and leaks the socket
    return tls


def _search(
    session: Any,  # noqa: ANN401
    base: str,
    filter_: str,
    attributes: list[str],
    limit: int,
    controls: list[Any] | None = None,
) -> list[Mapping[str, Any]]:
    session.search(
        base,
        filter_,
        dereference_aliases="NEVER",
        attributes=attributes,
        size_limit=limit,
        controls=controls,
    )
    if session.result["result"] not in (_SUCCESS, _SIZE_LIMIT):
        raise StoreError(
            f"the directory refuses to search: {_why(session)}",
            where=base,
            hint="[directory] base, and the access rules for [directory] bind",
        )
    return [each for each in session.response or () if each["type"] == "searchResEntry"]


def _account(entry: Mapping[str, Any], attribute: str, groups: list[Mapping[str, Any]]) -> Account:
    found = {name.lower(): values for name, values in entry["raw_attributes"].items()}
    read: Callable[[str], list[str]] = lambda name: [  # noqa: E731
        value.decode("utf-8", "replace") for value in found.get(name.lower(), ())
    ]
    uuid, locked = read("entryUUID"), read(LOCK)
    if not uuid:
        raise StoreError(
            "the directory does not show entryUUID", where=entry["dn"], hint="see docs/actions.md"
        )
    return Account(
        dn=entry["dn"],
        uuid=uuid[0],
        names=tuple(sorted(read(attribute))),
        locked=locked[0] if locked else "",
        usable=_usable(entry),
        groups=tuple(sorted(group["dn"] for group in groups)),
    )


def _usable(entry: Mapping[str, Any]) -> bool | None:
    value = entry.get("controls", {}).get(USABILITY, {}).get("value") or b""
    return {_AVAILABLE: True, _NOT_AVAILABLE: False}.get(value[0]) if value else None


def _escaped(text: str) -> str:
    r"""Return text for a filter (RFC 4515 section 3): `*` becomes `\2a`."""
    return "".join(
        chr(byte) if chr(byte).isalnum() and byte < 0x80 else f"\\{byte:02x}"
        for byte in text.encode("utf-8", "surrogatepass")
    )


def _folded(dn: str) -> str:
    return re.sub(r"\s*([,=+])\s*", r"\1", dn).casefold()


def _why(session: Any) -> str:  # noqa: ANN401
    return f"{session.result['description']} ({session.result['result']})"


def _close(session: Any) -> None:  # noqa: ANN401
    if session is None:
        return
    connection = session.socket
    with suppress(Exception):  # it is over; the library raises what it likes
        session.unbind()
    if connection is not None:
        connection.close()
