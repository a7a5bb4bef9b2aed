"""What events of the Security channel mean (Microsoft's security auditing reference)."""

from collections.abc import Mapping
from typing import Final

from collectors.parsers._windows_sysmon import Meaning, Twins, image, person
from collectors.parsers._windows_values import failed, ip, leaf, number, port, text

SUBJECT: Final = person("user", "Subject")
_TARGET: Final = person("user", "Target")
_FROM: Final[Twins] = (
    ("source.ip", "IpAddress", ip),
    ("source.port", "IpPort", port),
    ("source.domain", "WorkstationName", text),
)
_CALLER: Final[Twins] = (
    *image("process", "ProcessName"),
    ("process.pid", "ProcessId", number),
)
_LOGON: Final[Twins] = (*_TARGET, *_FROM, *_CALLER)
_EXPLICIT: Final[Twins] = (*SUBJECT, *person("user.effective", "Target"), *_FROM, *_CALLER)
_CREATED: Final[Twins] = (
    *SUBJECT,
    *image("process", "NewProcessName"),
    ("process.pid", "NewProcessId", number),
    ("process.command_line", "CommandLine", text),
    *image("process.parent", "ParentProcessName"),
    ("process.parent.pid", "ProcessId", number),
)
_ABOUT: Final[Twins] = (
    *SUBJECT,
    ("user.target.name", "TargetUserName", text),
    ("user.target.domain", "TargetDomainName", text),
    ("user.target.id", "TargetSid", text),
)
_MEMBER: Final[Twins] = (
    *SUBJECT,
    ("group.name", "TargetUserName", text),
    ("group.domain", "TargetDomainName", text),
    ("group.id", "TargetSid", text),
    ("user.target.name", "MemberName", text),
    ("user.target.id", "MemberSid", text),
)
_TICKET: Final[Twins] = (
    *_TARGET,
    *_FROM,
    ("service.name", "ServiceName", text),
    ("event.outcome", "Status", failed),
)
_NTLM: Final[Twins] = (
    ("user.name", "TargetUserName", text),
    ("source.domain", "Workstation", text),
    ("event.outcome", "Status", failed),
)
_SHARE: Final[Twins] = (*SUBJECT, *_FROM, ("file.name", "RelativeTargetName", leaf))
_OBJECT: Final[Twins] = (*SUBJECT, *_CALLER)
SERVICE: Final[Twins] = (*SUBJECT, ("service.name", "ServiceName", text))
_PACKET: Final[Twins] = (
    ("process.executable", "Application", text),
    ("process.name", "Application", leaf),
    ("source.ip", "SourceAddress", ip),
    ("source.port", "SourcePort", port),
    ("destination.ip", "DestAddress", ip),
    ("destination.port", "DestPort", port),
    ("network.iana_number", "Protocol", text),
)


def _iam(kind: str, change: str, action: str, twins: Twins) -> Meaning:
    return Meaning("iam", (kind, change), action, twins)


SECURITY: Final[Mapping[str, Meaning]] = {
    "1102": Meaning("configuration", ("deletion",), "audit-log-cleared", SUBJECT),
    "4624": Meaning("authentication", ("start",), "logged-in", _LOGON, "success"),
    "4625": Meaning("authentication", ("start",), "logon-failed", _LOGON, "failure"),
    "4634": Meaning("authentication", ("end",), "logged-out", _TARGET, "success"),
    "4647": Meaning("authentication", ("end",), "logged-out", _TARGET, "success"),
    "4648": Meaning("authentication", ("start",), "logged-in-explicit", _EXPLICIT),
    "4656": Meaning("file", ("access",), "object-requested", _OBJECT),
    "4657": Meaning(
        "registry",
        ("change",),
        "registry-value-set",
        (
            *_OBJECT,
            ("registry.path", "ObjectName", text),
            ("registry.value", "ObjectValueName", text),
        ),
    ),
    "4663": Meaning("file", ("access",), "object-accessed", _OBJECT),
    "4672": Meaning("iam", ("admin",), "logged-in-special", SUBJECT),
    "4688": Meaning("process", ("start",), "process-created", _CREATED),
    "4689": Meaning("process", ("end",), "process-terminated", _OBJECT),
    "4697": Meaning("configuration", ("creation",), "service-installed", SERVICE),
    "4698": Meaning("configuration", ("creation",), "scheduled-task-created", SUBJECT),
    "4699": Meaning("configuration", ("deletion",), "scheduled-task-deleted", SUBJECT),
    "4700": Meaning("configuration", ("change",), "scheduled-task-enabled", SUBJECT),
    "4701": Meaning("configuration", ("change",), "scheduled-task-disabled", SUBJECT),
    "4702": Meaning("configuration", ("change",), "scheduled-task-updated", SUBJECT),
    "4719": Meaning("configuration", ("change",), "audit-policy-changed", SUBJECT),
    "4720": _iam("user", "creation", "user-created", _ABOUT),
    "4722": _iam("user", "change", "user-enabled", _ABOUT),
    "4723": _iam("user", "change", "password-change-tried", _ABOUT),
    "4724": _iam("user", "change", "password-reset-tried", _ABOUT),
    "4725": _iam("user", "change", "user-disabled", _ABOUT),
    "4726": _iam("user", "deletion", "user-deleted", _ABOUT),
    "4728": _iam("group", "change", "member-added", _MEMBER),
    "4729": _iam("group", "change", "member-removed", _MEMBER),
    "4732": _iam("group", "change", "member-added", _MEMBER),
    "4733": _iam("group", "change", "member-removed", _MEMBER),
    "4738": _iam("user", "change", "user-changed", _ABOUT),
    "4740": _iam("user", "change", "user-locked-out", _ABOUT),
    "4756": _iam("group", "change", "member-added", _MEMBER),
    "4757": _iam("group", "change", "member-removed", _MEMBER),
    "4768": Meaning("authentication", ("start",), "kerberos-tgt-requested", _TICKET),
    "4769": Meaning("authentication", ("start",), "kerberos-ticket-requested", _TICKET),
    "4771": Meaning("authentication", ("start",), "kerberos-failed", _TICKET, "failure"),
    "4776": Meaning("authentication", ("start",), "credential-validated", _NTLM),
    "5140": Meaning("file", ("access",), "share-accessed", _SHARE),
    "5145": Meaning("file", ("access",), "share-object-checked", _SHARE),
    "5156": Meaning("network", ("connection", "allowed"), "connection-permitted", _PACKET),
    "5157": Meaning("network", ("connection", "denied"), "connection-blocked", _PACKET),
}
