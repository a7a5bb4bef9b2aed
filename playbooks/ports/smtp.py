"""Mail through one SMTP server (RFC 5321, submission: RFC 6409), with TLS."""

import re
import smtplib
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from ssl import create_default_context
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from playbooks.ports.deadline import deadline
from playbooks.ports.local import is_this_machine
from playbooks.ports.messages import Message
from soc.config import SecretRef
from soc.config.options import Options
from soc.errors import Refused, StoreError

_ENHANCED: Final = re.compile(rb"[245]\.[0-9]{1,3}\.[0-9]{1,3}\b")


def _address(text: str) -> str:
    try:
        parsed = Address(addr_spec=text)
    except (ValueError, IndexError):
        raise ValueError("must be a mail address, such as soc@city.example") from None
    if not (text.isascii() and parsed.username and parsed.domain and parsed.addr_spec == text):
        raise ValueError("must be a mail address, such as soc@city.example")
    return text


def _recipient(text: str) -> str:
    _address(text if not text.startswith("@") else f"any{text}")
    return text


class MailOptions(Options):
    """`[mail]`: the server that takes our mail, and who may get any.

    `recipients` are addresses, or `@domain` for everybody there. `tls = "none"` is for this
    machine only. `ca` holds the certificates to trust, by default the system's. `timeout` is in
    seconds, for one conversation.
    """

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    secret: SecretRef | None = None
    sender: Annotated[str, AfterValidator(_address)]
    recipients: tuple[Annotated[str, AfterValidator(_recipient)], ...]
    ca: Path | None = None
    timeout: Annotated[int, Field(ge=1, le=60)] = 15

    @model_validator(mode="after")
    def _consistent(self) -> "MailOptions":
        if self.tls == "none" and not is_this_machine(self.host):
            raise ValueError("mail does not go over a network without TLS: starttls or tls")
        if bool(self.user) != (self.secret is not None):
            raise ValueError("user and secret belong together")
        return self


class SmtpView:
    """Knows where mail goes; opens no connection."""

    def __init__(self, options: MailOptions) -> None:
        self._options = options

    def route(self, to: str) -> str:
        """Return how mail to an address goes out; raise Refused when it may not get any."""
        folded = to.casefold()
        for entry in self._options.recipients:
            listed = entry.casefold()
            if folded == listed or (listed[0] == "@" and folded.endswith(listed)):
                options = self._options
                return f"through {options.host}:{options.port} ({options.tls}) as {options.sender}"
        raise Refused(f"{to} may not get mail from us", hint="[mail] recipients")


class Smtp(SmtpView):
    """Sends mail."""

    def send(self, message: Message) -> None:
        """Send it once; raise StoreError when it was refused or nobody knows whether it went."""
        self.route(message.to)
        mail = compose(message, self._options.sender)
        where = f"{self._options.host}:{self._options.port}"
        started: list[smtplib.SMTP] = []
        try:
            with deadline(self._options.timeout, lambda: started[0].sock if started else None):
                connection = self._connect(started)
                connection.send_message(mail, self._options.sender, [message.to])
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise StoreError(
                f"the mail server {_said(error)}", where=where, hint="check [mail]"
            ) from None  # what a server answers may repeat what it was sent
        finally:
            for each in started:  # no QUIT: a mail that was taken stays taken
                each.close()

    def _connect(self, started: list[smtplib.SMTP]) -> smtplib.SMTP:
        options = self._options
        secret = options.secret.resolve() if options.secret else ""
        own_name = options.sender.partition("@")[2]
        context = create_default_context(cafile=options.ca)
        place = (options.host, options.port, own_name)
        if options.tls == "tls":
            connection: smtplib.SMTP = _OverTls(
                started, *place, timeout=options.timeout, context=context
            )
        else:
            connection = _Plain(started, *place, timeout=options.timeout)
        if options.tls == "starttls":
            connection.starttls(context=context)
        if secret:
            connection.login(options.user, secret)
        return connection


class _Started:
    """Puts a client into a list before it connects: its maker must be able to close it."""

    def __init__(self, started: list[Any], *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        started.append(self)
        super().__init__(*arguments, **options)


class _Plain(_Started, smtplib.SMTP):
    pass


class _OverTls(_Started, smtplib.SMTP_SSL):
    pass


def compose(message: Message, sender: str) -> EmailMessage:
    """Return the mail: UTF-8 text, its Message-ID made of the idempotency key."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = message.to
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(message.at)
    mail["Message-ID"] = f"<{message.id}@{sender.partition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    mail.set_content(message.text, cte="quoted-printable")
    return mail


def _said(error: Exception) -> str:
    """Return what went wrong by code only: a server's words may repeat secrets or the message."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
        return f"refuses the recipient: {_code(code, text)}"
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"refuses the login: {_code(error.smtp_code, error.smtp_error)}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"refuses: {_code(error.smtp_code, error.smtp_error)}"
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "does not offer what [mail] asks for (STARTTLS, or a login)"
    return f"does not answer as it should: {type(error).__name__}"


def _code(code: int, text: bytes | str) -> str:
    found = _ENHANCED.match(text if isinstance(text, bytes) else text.encode())
    return f"{code} {found[0].decode()}" if found else str(code)
