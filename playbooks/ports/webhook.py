"""Webhooks: one HTTPS POST of JSON to an address of the configuration, and nowhere else.

The host's addresses are looked up once, checked, and connected to as checked, so that a name that
changes its mind (DNS rebinding) leads nowhere. Redirects are not followed, proxies not used.
"""

import http.client
import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from ssl import SSLContext, create_default_context
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

import orjson
from pydantic import AfterValidator, Field

from playbooks.ports.deadline import deadline
from playbooks.ports.messages import Message
from playbooks.values import Address
from soc.config import SecretRef
from soc.config.options import Options
from soc.errors import ContentError, Refused, StoreError

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_VISIBLE: Final = re.compile(r"[ -~]+")
_URL: Final = re.compile(r"https://[!-~]{1,2000}")
_OURS: Final = ("content-type", "content-length", "host", "idempotency-key", "transfer-encoding")
_OTHER_FORMS: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "2002::/16")
)
"""IPv6 networks whose addresses stand for an IPv4 one, besides the mapped ones."""

Resolve = Callable[[str, int], Sequence[Address]]


def _url(text: str) -> str:
    parts = _URL.fullmatch(text) and urlsplit(text)
    try:
        port = parts.port if parts else 0
    except ValueError:
        port = 0
    if not parts or not parts.hostname or port == 0:
        raise ValueError("must be an address that begins with https://")
    if parts.username is not None or parts.fragment:
        raise ValueError("a secret is given by reference, never inside a URL")
    return text


def _name(text: str) -> str:
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", text) is None:
        raise ValueError("only small letters, digits, _ and -, at most 64 characters")
    return text


def _header(text: str) -> str:
    if _TOKEN.fullmatch(text) is None or text.lower() in _OURS:
        raise ValueError("must be the name of an HTTP header that is not one of ours")
    return text


class WebhookOptions(Options):
    """`[[webhooks]]`: an address to which messages are posted as JSON.

    `secret` is the whole value of `header`. `private` allows a host inside our own networks; hosts
    of the link itself, such as a cloud's metadata service, are never called. `timeout` is in
    seconds, for the whole request.
    """

    name: Annotated[str, AfterValidator(_name)]
    url: Annotated[str, AfterValidator(_url)]
    header: Annotated[str, AfterValidator(_header)] = "Authorization"
    secret: SecretRef | None = None
    private: bool = False
    ca: Path | None = None
    timeout: Annotated[int, Field(ge=1, le=60)] = 10


class WebhookView:
    """Knows where requests go; opens no connection."""

    def __init__(self, hooks: Sequence[WebhookOptions]) -> None:
        self._hooks = {hook.name: hook for hook in hooks}

    def route(self, to: str) -> str:
        """Return where a webhook leads, without the path; raise Refused for an unknown one."""
        parts = urlsplit(self._hook(to).url)
        return f"to https://{parts.netloc}"

    def _hook(self, name: str) -> WebhookOptions:
        if name not in self._hooks:
            known = ", ".join(self._hooks) or "none is configured"
            raise Refused(f"no webhook is called {name}", hint=f"[[webhooks]]: {known}")
        return self._hooks[name]


class Webhook(WebhookView):
    """Calls webhooks."""

    def __init__(self, hooks: Sequence[WebhookOptions], resolve: Resolve | None = None) -> None:
        super().__init__(hooks)
        self._resolve = resolve or look_up

    def send(self, message: Message) -> None:
        """Post it once; raise StoreError when it was refused or nobody knows whether it went."""
        hook = self._hook(message.to)
        parts = urlsplit(hook.url)
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": f'"{message.id}"',
            **_secret(hook),
        }
        try:
            address = self._address(hook, parts)
            status = _post(hook, parts, address, payload(message), headers)
        except (OSError, http.client.HTTPException) as error:
            raise StoreError(
                f"the webhook does not answer: {type(error).__name__}",
                where=parts.netloc,
                hint=f"is its certificate trusted? [[webhooks]] {hook.name}",
            ) from None
        if not 200 <= status < 300:
            why = ": redirects are not followed" if 300 <= status < 400 else ""
            raise StoreError(f"the webhook answers with status {status}{why}", where=parts.netloc)

    def _address(self, hook: WebhookOptions, parts: SplitResult) -> Address:
        """Return an address of the host; raise Refused when one of them must not be called."""
        found = self._resolve(parts.hostname or "", parts.port or 443)
        for address in found:
            if not may_call(address, private=hook.private):
                raise Refused(
                    f"{parts.hostname} is {address}, which webhooks do not call",
                    where=f"[[webhooks]] {hook.name}",
                    hint="private = true, if it is a host of ours",
                )
        if not found:
            raise OSError("no address")
        return found[0]


def payload(message: Message) -> bytes:
    """Return the body: the same bytes for every copy, as a key may not come with another body."""
    fields = {"id": message.id, "subject": message.subject, "text": message.text}
    return orjson.dumps(fields)


def may_call(address: Address, *, private: bool) -> bool:
    """Return whether a request may go to an address, `private`: also inside our own networks."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif any(address in network for network in _OTHER_FORMS):
            return private and address.is_loopback
    if address.is_loopback:
        return private
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if address == ipaddress.IPv4Address("255.255.255.255"):
        return False
    return private or address.is_global


def look_up(host: str, port: int) -> list[Address]:
    """Return the addresses of a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


class _Connection(http.client.HTTPSConnection):
    """HTTPS to one address that was checked, with the name of the host for TLS."""

    def __init__(
        self, parts: SplitResult, address: Address, context: SSLContext, timeout: int
    ) -> None:
        super().__init__(parts.hostname or "", parts.port or 443, timeout=timeout, context=context)
        self._address = str(address)
        self._tls = context

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(
            plain, do_handshake_on_connect=False, server_hostname=self.host
        )
        self.sock.do_handshake()  # only now, so that the deadline can cut it


def _post(
    hook: WebhookOptions,
    parts: SplitResult,
    address: Address,
    body: bytes,
    headers: dict[str, str],
) -> int:
    context = create_default_context(cafile=hook.ca)
    connection = _Connection(parts, address, context, hook.timeout)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with deadline(hook.timeout, lambda: connection.sock):
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            response.close()  # what it says is not read
            return response.status
    finally:
        with suppress(OSError):
            connection.close()


def _secret(hook: WebhookOptions) -> dict[str, str]:
    if hook.secret is None:
        return {}
    value = hook.secret.resolve()
    if _VISIBLE.fullmatch(value) is None:  # http.client would quote it in its complaint
        raise ContentError(
            "the secret cannot be the value of a header",
            where=str(hook.secret),
            hint="visible ASCII characters on one line",
        )
    return {hook.header: value}
