"""Mail to people: what arrives at a real receiver, and what no alert can make of it."""

import time
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from playbooks.actions import notify_mail as mail
from playbooks.effect import Change, Request, action
from playbooks.ports.messages import Message
from playbooks.ports.smtp import MailOptions, Smtp, SmtpView, compose
from soc.config import SecretRef
from soc.errors import InputError, Refused, StoreError
from tests.playbooks.servers.mail import Mailbox, running
from tests.playbooks.servers.programs import free_port
from tests.playbooks.servers.tls import loopback

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
CANARY = "canary-mail-5521"
SAID = {
    "to": "truc@city.example",
    "subject": "Đã chặn một địa chỉ",
    "text": "Địa chỉ này bị chặn trong một giờ:\nxin kiểm tra.",
    "about": "203.0.113.9",
}


@pytest.fixture
def secret(tmp_path: Path) -> SecretRef:
    path = tmp_path / "mail"
    path.write_text(CANARY)
    path.chmod(0o600)
    return SecretRef.parse(f"file:{path}")


def options(box: Mailbox, **changes: Any) -> MailOptions:
    fields: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": box.port,
        "sender": "soc@city.example",
        "recipients": ("truc@city.example", "@duty.example"),
        "ca": loopback()[0],
        "timeout": 5,
    }
    return MailOptions(**fields | changes)


def planned(view: SmtpView, key: str = "run/step/0", **changes: str) -> tuple[Request, Change]:
    wanted = Request(mail.target(SAID | changes), 0, NOW, key)
    return wanted, mail.plan(wanted, mail.observe(wanted.target, view))


def send(port: Smtp, key: str = "run/step/0", **changes: str) -> None:
    wanted, change = planned(port, key, **changes)
    mail.apply(wanted, change, port)


def read(got: EmailMessage) -> str:
    return str(got.get_content()).replace("\r\n", "\n").strip()


def test_vietnamese_mail_arrives_encrypted_and_as_written(secret: SecretRef) -> None:
    with running(loopback()[1]) as box:
        send(Smtp(options(box, user="soc", secret=secret)))
    (got,) = box.mails
    assert box.envelopes == [("soc@city.example", "truc@city.example")]
    assert got["Subject"] == SAID["subject"]
    assert read(got) == f"{SAID['text']}\n\n203.0.113.9"
    assert got["Auto-Submitted"] == "auto-generated"
    assert all(ord(char) < 128 for char in box.raw[0].decode("utf-8"))
    after = [
        encrypted for line, encrypted in box.commands if line.upper().startswith(("AUTH", "MAIL"))
    ]
    assert after == [True, True]


def test_tls_from_the_start() -> None:
    with running(loopback()[1], implicit=True) as box:
        send(Smtp(options(box, tls="tls")))
    assert len(box.mails) == 1


def test_the_plan_says_that_it_is_for_good_and_maybe_twice_and_opens_nothing() -> None:
    wanted, change = planned(SmtpView(options(Mailbox(port=9))), key="")
    assert "nobody can take it back" in change.summary
    assert "at least once" in change.summary
    assert "same Message-ID" in change.summary
    assert change.undo is None
    assert change.do == {
        "to": "truc@city.example",
        "subject": SAID["subject"],
        "text": f"{SAID['text']}\n\n203.0.113.9",
        "route": "through 127.0.0.1:9 (starttls) as soc@city.example",
    }
    found = action("notify_mail")
    assert (found.lease, found.verify, found.revert) == (None, None, None)
    with pytest.raises(Refused, match="key"):
        mail.apply(wanted, change, Smtp(options(Mailbox(port=9))))


def test_a_repeat_after_a_lost_answer_carries_the_same_message_id() -> None:
    with running(loopback()[1], fault="cut") as box:
        port = Smtp(options(box))
        with pytest.raises(StoreError, match="does not answer"):
            send(port)
        box.fault = ""
        send(port)
        send(port, key="run/step/1")
    ids = [got["Message-ID"] for got in box.mails]
    assert len(ids) == 3
    assert ids[0] == ids[1] != ids[2]
    assert ids[0].endswith("@city.example>")


@pytest.mark.parametrize("to", ["someone@else.example", "truc@city.example.evil.example"])
def test_only_listed_people_get_mail(to: str) -> None:
    view = SmtpView(options(Mailbox(port=9)))
    with pytest.raises(Refused, match="may not get mail"):
        planned(view, to=to)
    request, change = planned(view)
    forged = Change(change.summary, {**change.do, "to": to})  # type: ignore[dict-item]
    with pytest.raises(Refused, match="may not get mail"):
        mail.apply(request, forged, Smtp(options(Mailbox(port=9))))
    assert planned(view, to="Anybody@DUTY.example")[0].target.name == "Anybody@duty.example"


@pytest.mark.parametrize(
    "to",
    [
        "truc@city.example\r\nBcc: all@city.example",
        "truc@city.example, all@city.example",
        "<truc@city.example>",
        "-oQ/tmp@city.example",
        '"truc"@city.example',
        "truc@city.example\0",
        "tr\uff55c@city.example",
        "truc",
        "a" * 10_240 + "@city.example",
        "",
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_what_is_not_one_plain_address_is_refused(to: str) -> None:
    with pytest.raises(InputError):
        mail.target(SAID | {"to": to})


def test_header_injection_is_inert() -> None:
    evil = "alert\r\nBcc: all@city.example\r\n\r\nnew body \x1b[31m\u202e"
    with running(loopback()[1]) as box:
        send(
            Smtp(options(box)),
            subject=evil,
            about=evil,
            text="\u202eone\r\n.\r\nMAIL FROM:<x@y>\r\n",
        )
    (got,) = box.mails
    assert got["Bcc"] is None
    assert got["Subject"].strip().startswith("alert\\x0d\\x0aBcc: all@city.example")
    assert "\n.\n" in read(got)
    assert not {"\x1b", "\u202e"} & set(read(got))
    assert len(box.envelopes) == 1


@given(st.text(max_size=400), st.text(max_size=2000))
def test_no_text_makes_a_header(subject: str, text: str) -> None:
    target = mail.target(SAID | {"subject": subject, "text": text, "about": text})
    wanted = target.arguments
    message = Message("a@b.example", wanted["subject"], wanted["text"], "k", NOW)
    raw = compose(message, "soc@city.example").as_bytes()
    head = raw.partition(b"\r\n\r\n")[0].replace(b"\r\n ", b" ").split(b"\r\n")
    assert sorted(line.partition(b":")[0].decode() for line in head) == [
        *("Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From"),
        *("MIME-Version", "Message-ID", "Subject", "To"),
    ]
    assert mail.target(wanted) == target


def test_a_long_value_is_cut_and_does_not_silence_the_message() -> None:
    with running(loopback()[1]) as box:
        send(Smtp(options(box)), subject="s" * 10_240, text="t" * 102_400, about="a" * 10_240)
    (got,) = box.mails
    assert len(got["Subject"]) == 150
    assert len(read(got)) < 6000


@pytest.mark.parametrize("verb", ["AUTH", "MAIL", "RCPT", "DATA"])
def test_a_refusal_is_told_by_code_and_repeats_nothing(verb: str, secret: SecretRef) -> None:
    refused = pytest.raises(StoreError, match=r"550 5\.7\.1")
    with running(loopback()[1], refuse=verb) as box, refused as caught:
        send(Smtp(options(box, user="soc", secret=secret)))
    assert not box.mails
    said = str(caught.value) + repr(caught.value.__cause__)
    for word in (CANARY, "truc@", "AUTH", "203.0.113.9"):
        assert word not in said


def test_without_the_encryption_that_was_asked_for_nothing_is_sent(secret: SecretRef) -> None:
    refused = pytest.raises(StoreError, match="STARTTLS")
    with running(loopback()[1], starttls=False) as box, refused:
        send(Smtp(options(box, user="soc", secret=secret)))
    assert {line.split()[0].upper() for line, _ in box.commands} <= {"EHLO", "QUIT"}
    with running(loopback()[1]) as box, pytest.raises(StoreError, match="SSLCert"):
        send(Smtp(options(box, ca=None, user="soc", secret=secret)))
    assert not box.mails


def test_nobody_there_and_a_server_that_never_comes_to_the_point() -> None:
    with pytest.raises(StoreError, match="does not answer"):
        send(Smtp(options(Mailbox(port=free_port()))))
    with running(loopback()[1], fault="drip") as box:
        began = time.monotonic()
        with pytest.raises(StoreError):
            send(Smtp(options(box, timeout=1)))
        assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    "changes",
    [
        {"tls": "none", "host": "mail.city.example"},
        {"user": "soc"},
        {"sender": "soc@city.example\r\nX: y"},
        {"sender": "soc"},
        {"recipients": ("everybody",)},
        {"port": 0},
        {"secret": "password"},
    ],
)
def test_a_configuration_that_would_be_unsafe_is_refused(changes: dict[str, Any]) -> None:
    options(Mailbox(port=25))
    with pytest.raises(ValidationError):
        options(Mailbox(port=25), **changes)
