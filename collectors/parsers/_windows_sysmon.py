"""What Sysmon events mean (schema 4.91), and the vocabulary of such tables.

A table maps an event id to ECS category, type, action (ECS 9.5 allowed values) and twins: the ECS
fields an analyst expects, as (ECS field, EventData name, converter).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from collectors.parsers._windows_values import (
    Convert,
    account,
    boolean,
    direction,
    domain,
    extension,
    folder,
    hash_of,
    hive,
    ip,
    ips,
    key,
    leaf,
    lower,
    number,
    port,
    text,
    texts,
)

Twins = tuple[tuple[str, str, Convert], ...]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an event id stands for; `types` and `outcome` are ECS allowed values."""

    category: str
    types: tuple[str, ...]
    action: str
    twins: Twins = ()
    outcome: str = ""


def person(field: str, data: str) -> Twins:
    """Return the twins of `SubjectUserName` and its siblings."""
    return (
        (f"{field}.name", f"{data}UserName", text),
        (f"{field}.domain", f"{data}DomainName", text),
        (f"{field}.id", f"{data}UserSid", text),
    )


def image(field: str, data: str) -> Twins:
    """Return the twins of a path to a program."""
    return ((f"{field}.executable", data, text), (f"{field}.name", data, leaf))


def _file(data: str) -> Twins:
    return (
        ("file.path", data, text),
        ("file.name", data, leaf),
        ("file.directory", data, folder),
        ("file.extension", data, extension),
    )


def _hashed(field: str, data: str = "Hashes") -> Twins:
    names = ("md5", "sha1", "sha256")
    return (
        *((f"{field}.hash.{name}", data, hash_of(name.upper())) for name in names),
        (f"{field}.pe.imphash", data, hash_of("IMPHASH")),
    )


def _pe(field: str) -> Twins:
    return (
        (f"{field}.pe.company", "Company", text),
        (f"{field}.pe.description", "Description", text),
        (f"{field}.pe.file_version", "FileVersion", text),
        (f"{field}.pe.original_file_name", "OriginalFileName", text),
        (f"{field}.pe.product", "Product", text),
    )


_USER: Final[Twins] = (("user.name", "User", account), ("user.domain", "User", domain))
_PROCESS: Final[Twins] = (
    *image("process", "Image"),
    ("process.pid", "ProcessId", number),
    ("process.entity_id", "ProcessGuid", text),
    *_USER,
)
_STARTED: Final[Twins] = (
    *_PROCESS,
    ("process.command_line", "CommandLine", text),
    ("process.working_directory", "CurrentDirectory", text),
    *image("process.parent", "ParentImage"),
    ("process.parent.pid", "ParentProcessId", number),
    ("process.parent.entity_id", "ParentProcessGuid", text),
    ("process.parent.command_line", "ParentCommandLine", text),
    *_hashed("process"),
    *_pe("process"),
)
_OPENED: Final[Twins] = (
    *image("process", "SourceImage"),
    ("process.pid", "SourceProcessId", number),
    ("process.entity_id", "SourceProcessGuid", text),
    ("process.entity_id", "SourceProcessGUID", text),
    ("process.thread.id", "SourceThreadId", number),
    ("user.name", "SourceUser", account),
    ("user.domain", "SourceUser", domain),
)
_CONNECTED: Final[Twins] = (
    *_PROCESS,
    ("source.ip", "SourceIp", ip),
    ("source.port", "SourcePort", port),
    ("source.domain", "SourceHostname", text),
    ("destination.ip", "DestinationIp", ip),
    ("destination.port", "DestinationPort", port),
    ("destination.domain", "DestinationHostname", text),
    ("network.transport", "Protocol", lower),
    ("network.direction", "Initiated", direction),
)
_LOADED: Final[Twins] = (
    *_PROCESS,
    ("dll.path", "ImageLoaded", text),
    ("dll.name", "ImageLoaded", leaf),
    ("dll.code_signature.exists", "Signed", boolean),
    ("dll.code_signature.status", "SignatureStatus", text),
    ("dll.code_signature.subject_name", "Signature", text),
    *_hashed("dll"),
    *_pe("dll"),
)
_REGISTRY: Final[Twins] = (
    *_PROCESS,
    ("registry.path", "TargetObject", text),
    ("registry.hive", "TargetObject", hive),
    ("registry.key", "TargetObject", key),
)
_REGISTRY_VALUE: Final[Twins] = (
    *_REGISTRY,
    ("registry.value", "TargetObject", leaf),
    ("registry.data.strings", "Details", texts),
)
_FILE: Final[Twins] = (*_PROCESS, *_file("TargetFilename"))
_HASHED_FILE: Final[Twins] = (*_FILE, *_hashed("file"))
_PIPE: Final[Twins] = (*_PROCESS, ("file.name", "PipeName", text))
_QUERY: Final[Twins] = (
    *_PROCESS,
    ("dns.question.name", "QueryName", text),
    ("dns.resolved_ip", "QueryResults", ips),
)

SYSMON: Final[Mapping[str, Meaning]] = {
    "1": Meaning("process", ("start",), "process-created", _STARTED),
    "2": Meaning("file", ("change",), "file-time-changed", _FILE),
    "3": Meaning("network", ("connection", "start"), "network-connection", _CONNECTED),
    "4": Meaning("configuration", ("change",), "sysmon-state-changed"),
    "5": Meaning("process", ("end",), "process-terminated", _PROCESS),
    "6": Meaning("driver", ("start",), "driver-loaded", _LOADED),
    "7": Meaning("library", ("start",), "image-loaded", _LOADED),
    "8": Meaning("process", ("change",), "remote-thread-created", _OPENED),
    "9": Meaning("file", ("access",), "raw-disk-read", _PROCESS),
    "10": Meaning("process", ("access",), "process-accessed", _OPENED),
    "11": Meaning("file", ("creation",), "file-created", _FILE),
    "12": Meaning("registry", ("change",), "registry-key-changed", _REGISTRY),
    "13": Meaning("registry", ("change",), "registry-value-set", _REGISTRY_VALUE),
    "14": Meaning("registry", ("change",), "registry-key-renamed", _REGISTRY),
    "15": Meaning("file", ("creation",), "file-stream-created", (*_FILE, *_hashed("file", "Hash"))),
    "16": Meaning("configuration", ("change",), "sysmon-configuration-changed"),
    "17": Meaning("file", ("creation",), "pipe-created", _PIPE),
    "18": Meaning("file", ("access",), "pipe-connected", _PIPE),
    "19": Meaning("configuration", ("creation",), "wmi-filter", _USER),
    "20": Meaning("configuration", ("creation",), "wmi-consumer", _USER),
    "21": Meaning("configuration", ("creation",), "wmi-binding", _USER),
    "22": Meaning("network", ("protocol", "info"), "dns-query", _QUERY),
    "23": Meaning("file", ("deletion",), "file-deleted", _HASHED_FILE),
    "24": Meaning("process", ("access",), "clipboard-changed", _PROCESS),
    "25": Meaning("process", ("change",), "process-tampered", _PROCESS),
    "26": Meaning("file", ("deletion",), "file-delete-detected", _HASHED_FILE),
    "27": Meaning("file", ("creation",), "executable-blocked", _HASHED_FILE, "failure"),
    "28": Meaning("file", ("deletion",), "shredding-blocked", _HASHED_FILE, "failure"),
    "29": Meaning("file", ("creation",), "executable-created", _HASHED_FILE),
    "255": Meaning("host", ("info",), "sysmon-error"),
}
