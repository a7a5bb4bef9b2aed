"""Webhooks: what arrives at a real receiver over HTTPS, its faults, and where none goes."""

import ipaddress
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from playbooks.actions import notify_webhook as hook
from playbooks.effect import Change, Request, action
from playbooks.ports.webhook import Webhook, WebhookOptions, WebhookView, may_call
from soc.config import SecretRef
from soc.errors import ContentError, InputError, Refused, StoreError
from tests.playbooks.servers.hooks import Inbox, running
from tests.playbooks.servers.programs import free_port
from tests.playbooks.servers.tls import loopback

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
CANARY = "canary-hook-8812"
SAID = {"hook": "duty", "subject": "Đã chặn", "text": "một giờ", "about": "203.0.113.9"}


def secret(folder: Path, text: str = f"Bearer {CANARY}") -> SecretRef:
    path = folder / "hook"
    path.write_text(text)
    path.chmod(0o600)
    return SecretRef.parse(f"file:{path}")


def options(inbox: Inbox, **changes: Any) -> WebhookOptions:
    fields: dict[str, Any] = {
        "name": "duty",
        "url": f"https://127.0.0.1:{inbox.port}/in/path?x=1",
        "private": True,
        "ca": loopback()[0],
        "timeout": 5,
    }
    return WebhookOptions(**fields | changes)


def planned(view: WebhookView, key: str = "run/step/0", **changes: str) -> tuple[Request, Change]:
    wanted = Request(hook.target(SAID | changes), 0, NOW, key)
    return wanted, hook.plan(wanted, hook.observe(wanted.target, view))


def send(port: Webhook, key: str = "run/step/0", **changes: str) -> None:
    wanted, change = planned(port, key, **changes)
    hook.apply(wanted, change, port)


def test_json_arrives_with_key_and_secret(tmp_path: Path) -> None:
    with running(loopback()[1]) as inbox:
        send(Webhook([options(inbox, secret=secret(tmp_path))]))
    ((method, path, headers, body),) = inbox.requests
    assert (method, path) == ("POST", "/in/path?x=1")
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == f"Bearer {CANARY}"
    got = orjson.loads(body)
    assert got["subject"] == "Đã chặn"
    assert got["text"] == "một giờ\n\n203.0.113.9"
    assert headers["idempotency-key"] == f'"{got["id"]}"'


def test_the_plan_says_that_it_is_for_good_and_maybe_twice() -> None:
    view = WebhookView([options(Inbox(port=9), url="https://chat.city.example/token-in-the-path")])
    change = planned(view, key="")[1]
    assert "nobody can take it back" in change.summary
    assert "at least once" in change.summary
    assert "same Idempotency-Key" in change.summary
    assert change.undo is None
    assert "token-in-the-path" not in repr(change)
    assert action("notify_webhook").revert is None


def test_cut_after_the_request_it_is_repeated_with_the_same_key_and_body() -> None:
    with running(loopback()[1], fault="cut") as inbox:
        port = Webhook([options(inbox)])
        with pytest.raises(StoreError, match="does not answer"):
            send(port)
        inbox.fault = ""
        wanted, change = planned(port)
        later = Request(wanted.target, 0, NOW.replace(hour=11), wanted.key)
        hook.apply(later, change, port)
        send(port, key="run/step/1")
    first, second, other = inbox.requests
    assert first[2]["idempotency-key"] == second[2]["idempotency-key"]
    assert first[3] == second[3]
    assert other[2]["idempotency-key"] != first[2]["idempotency-key"]


@pytest.mark.parametrize("status", [199, 301, 302, 307, 308, 400, 401, 429, 500, 503])
def test_every_other_answer_is_a_failure_and_no_redirect_is_followed(
    status: int, tmp_path: Path
) -> None:
    with running(loopback()[1]) as trap, running(loopback()[1], status=status) as inbox:
        inbox.location = f"https://127.0.0.1:{trap.port}/stolen"
        with pytest.raises(StoreError) as caught:
            send(Webhook([options(inbox, secret=secret(tmp_path), timeout=1)]))
    assert not trap.requests
    assert len(inbox.requests) == 1
    said = str(caught.value) + repr(caught.value.__cause__)
    for word in (CANARY, "203.0.113.9", "/in/path"):
        assert word not in said


@pytest.mark.parametrize("fault", ["drip", "flood"])
def test_an_answer_without_an_end_is_cut(fault: str) -> None:
    with running(loopback()[1], fault=fault) as inbox:
        began = time.monotonic()
        with pytest.raises(StoreError, match="does not answer"):
            send(Webhook([options(inbox, timeout=1)]))
        assert time.monotonic() - began < 4


def test_nobody_there_or_a_certificate_of_somebody_else(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not answer"):
        send(Webhook([options(Inbox(port=free_port()))]))
    with running(loopback()[1]) as inbox:
        port = Webhook([options(inbox, ca=None, secret=secret(tmp_path))])
        with pytest.raises(StoreError, match="SSLCertVerificationError"):
            send(port)
        named = options(inbox, url=f"https://other.example:{inbox.port}/")
        port = Webhook([named], lambda host, number: [ipaddress.ip_address("127.0.0.1")])
        with pytest.raises(StoreError, match="SSLCertVerificationError"):
            send(port)
    assert not inbox.requests


PUBLIC = ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"]
OURS = ["10.0.0.1", "172.16.9.9", "192.168.1.1", "127.0.0.1", "::1", "fd00::1", "100.64.0.1"]
OURS += ["::ffff:10.0.0.1", "::ffff:127.0.0.1"]
NEVER = ["169.254.169.254", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1"]
NEVER += ["255.255.255.255", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"]
NEVER += ["::169.254.169.254"]


@pytest.mark.parametrize("text", PUBLIC + OURS + NEVER)
def test_addresses_of_the_link_are_never_called_and_ours_only_when_said(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert may_call(address, private=False) is (text in PUBLIC)
    assert may_call(address, private=True) is (text not in NEVER)


def test_a_name_that_points_inside_is_refused_even_among_others(tmp_path: Path) -> None:
    with running(loopback()[1]) as inbox:
        public = options(inbox, url=f"https://hook.example:{inbox.port}/", private=False)
        answers = [ipaddress.ip_address("93.184.216.34"), ipaddress.ip_address("127.0.0.1")]
        with pytest.raises(Refused, match=r"127\.0\.0\.1"):
            send(Webhook([public], lambda host, port: answers))
    assert not inbox.requests


def test_a_name_is_looked_up_once_so_it_cannot_change_its_mind() -> None:
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    with running(loopback()[1]) as inbox:
        named = options(inbox, url=f"https://localhost:{inbox.port}/")
        port = Webhook(
            [named], lambda host, number: [ipaddress.ip_address(a) for a in next(answers)]
        )
        send(port)
    assert len(inbox.requests) == 1
    assert next(answers) == ["169.254.169.254"]


@pytest.mark.parametrize("text", ["", "-x", "https://evil.example/", "a\nb", "dúty", "x" * 10_240])
def test_a_playbook_names_a_webhook_and_never_an_address(text: str) -> None:
    with pytest.raises(InputError):
        hook.target(SAID | {"hook": text})


def test_an_unknown_webhook_is_refused() -> None:
    with pytest.raises(Refused, match="no webhook"):
        planned(WebhookView([options(Inbox(port=9))]), hook="other")


@pytest.mark.parametrize("value", ["line\nX-Other: 1" + CANARY, "tiếng-" + CANARY])
def test_a_secret_that_cannot_be_a_header_is_not_repeated(value: str, tmp_path: Path) -> None:
    port = Webhook([options(Inbox(port=9), secret=secret(tmp_path, value))])
    with pytest.raises(ContentError) as caught:
        send(port)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "http://127.0.0.1/"},
        {"url": "https://user:word@host.example/"},
        {"url": "https://host.example/\r\nX: y"},
        {"url": "https://"},
        {"url": "https://host.example:99999/"},
        {"url": "file:///etc/passwd"},
        {"header": "Host"},
        {"header": "X: y"},
        {"name": "Duty Officer"},
        {"secret": "literal"},
    ],
)
def test_a_configuration_that_would_be_unsafe_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        options(Inbox(port=9), **changes)
