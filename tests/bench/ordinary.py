"""Ordinary Windows records, with all the fields that Windows writes in them, made by a dice."""

import random
from collections.abc import Callable
from typing import Any

from detectors.sigma.rule import LogSource

WORDS = tuple(
    """report update backup sync night ward clinic water tram ticket permit archive scan mail index
    cache agent service client monitor driver setup helper viewer runtime broker host session
    """.split()
)
PROGRAMS = (
    ("System32\\svchost.exe", "-k netsvcs -p -s {w}", "System32\\services.exe"),
    ("System32\\taskhostw.exe", "{w} {n}", "System32\\svchost.exe"),
    ("System32\\SearchIndexer.exe", "/Embedding", "System32\\services.exe"),
    ("System32\\RuntimeBroker.exe", "-Embedding", "System32\\svchost.exe"),
    ("explorer.exe", "/desktop {n}", "System32\\userinit.exe"),
    ("City\\Browser\\browser.exe", "--type=renderer --trial={n} --lang=vi", "explorer.exe"),
    ("City\\Office\\writer.exe", '/n "D:\\Documents\\{u}\\{w} {n}.docx"', "explorer.exe"),
    ("City\\Backup\\agent.exe", "--job {w}-{n} --target D:\\Backup\\{w}", "System32\\services.exe"),
    ("City\\Permits\\permits.exe", "open --case {n} --office {w}", "explorer.exe"),
    ("City\\Metering\\reader.exe", "--line {w} --meter {n}", "System32\\services.exe"),
)


def ordinary_record(source: LogSource, dice: random.Random) -> dict[str, Any]:
    """Return a record as its log source writes it when nothing is wrong."""
    category = source.category
    if category == "process_creation":
        return creation_record(dice)
    if category in SYSMON:
        number, names = SYSMON[category]
        record = _sysmon(number, category, dice)
        del record["_more"]
        return record | {name: _value(name, dice) for name in names.split()}
    channel, provider, numbers, names = LOGS.get(category or source.service, OTHER)
    return {
        "product": "windows",
        "service": source.service or "none",
        "category": category or "none",
        "EventID": dice.choice(numbers),
        "Channel": channel.format(source.service),
        "Provider_Name": provider.format(source.service),
        "Computer": f"ws{dice.randint(1, 900)}.city.example",
        **{name: _value(name, dice) for name in names.split()},
    }


def _value(name: str, dice: random.Random) -> str:
    """Return what an ordinary record may say in a field."""
    for end, make in VALUES:
        if name.endswith(end):
            return make(dice)
    return f"{dice.choice(WORDS)} {dice.choice(WORDS)}"


def _sysmon(number: int, category: str, dice: random.Random) -> dict[str, Any]:
    image, arguments, parent = dice.choice(PROGRAMS)
    return {
        "product": "windows",
        "service": "sysmon",
        "category": category,
        "EventID": number,
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Provider_Name": "Microsoft-Windows-Sysmon",
        "Computer": f"ws{dice.randint(1, 900)}.city.example",
        "RuleName": "-",
        "UtcTime": f"2026-11-22 08:00:{dice.randint(0, 59):02}.{dice.randint(0, 999):03}",
        "ProcessGuid": f"{{{dice.getrandbits(64):016X}}}",
        "ProcessId": str(dice.randint(400, 30_000)),
        "Image": _path(image),
        "User": f"CITY\\{_user(dice)}",
        "_more": (arguments, _path(parent)),
    }


def _path(name: str) -> str:
    return f"C:\\Program Files\\{name}" if name.startswith("City") else f"C:\\Windows\\{name}"


def _user(dice: random.Random) -> str:
    return f"{dice.choice(WORDS)}{dice.randint(1, 400)}"


def creation_record(dice: random.Random) -> dict[str, Any]:
    record = _sysmon(1, "process_creation", dice)
    template, parent = record.pop("_more")
    arguments = template.format(w=dice.choice(WORDS), n=dice.getrandbits(24), u=_user(dice))
    name = record["Image"].rpartition("\\")[2]
    return record | {
        "FileVersion": f"10.0.{dice.randint(1, 19000)}.1",
        "Description": f"City {dice.choice(WORDS)} {dice.choice(WORDS)}",
        "Product": f"City {dice.choice(WORDS)}",
        "Company": "City Works",
        "OriginalFileName": name,
        "CommandLine": f'"{record["Image"]}" {arguments}'.strip(),
        "CurrentDirectory": f"C:\\Users\\{_user(dice)}\\",
        "LogonGuid": f"{{{dice.getrandbits(64):016X}}}",
        "LogonId": hex(dice.getrandbits(24)),
        "TerminalSessionId": str(dice.randint(0, 3)),
        "IntegrityLevel": dice.choice(("Medium", "High", "System")),
        "Hashes": f"MD5={dice.getrandbits(128):032X},SHA256={dice.getrandbits(256):064X},"
        f"IMPHASH={dice.getrandbits(128):032X}",
        "ParentProcessGuid": f"{{{dice.getrandbits(64):016X}}}",
        "ParentProcessId": str(dice.randint(400, 30_000)),
        "ParentImage": parent,
        "ParentCommandLine": parent,
        "ParentUser": "NT AUTHORITY\\SYSTEM",
    }


def _script(dice: random.Random) -> str:
    """Return a script as an administration runs it, some lines long."""
    lines = (
        f"$%s = Get-CityRecord -Office {dice.choice(WORDS)} -Number {dice.getrandbits(20)}",
        f"Write-Log -Level Info -Text 'the {dice.choice(WORDS)} of {dice.choice(WORDS)} is done'",
        f"foreach ($%s in $rows) {{ Update-Row -Key {dice.getrandbits(24)} -Value $%s }}",
        f"Send-Report -To {_user(dice)}@city.example -Subject '{dice.choice(WORDS)}'",
    )
    chosen = (dice.choice(lines) for _ in range(dice.randint(4, 12)))
    return "\n".join(line.replace("%s", dice.choice(WORDS)) for line in chosen)


def _guid(dice: random.Random) -> str:
    return f"{{{dice.getrandbits(64):016X}}}"


def _hashes(dice: random.Random) -> str:
    return f"MD5={dice.getrandbits(128):032X},SHA256={dice.getrandbits(256):064X}"


def _program(dice: random.Random) -> str:
    return _path(dice.choice(PROGRAMS)[0])


def _some_path(dice: random.Random) -> str:
    return f"C:\\Users\\{_user(dice)}\\AppData\\Local\\City\\{dice.choice(WORDS)}.tmp"


def _number(dice: random.Random) -> str:
    return str(dice.randint(400, 30_000))


VALUES: tuple[tuple[str, Callable[[random.Random], str]], ...] = (
    ("ScriptBlockText", _script),
    ("Payload", _script),
    ("ContextInfo", _script),
    ("Data", _script),
    ("Guid", _guid),
    ("GUID", _guid),
    ("ScriptBlockId", _guid),
    ("Hashes", _hashes),
    ("Hash", _hashes),
    ("Image", _program),
    ("ProcessName", _program),
    ("Filename", _some_path),
    ("Loaded", _some_path),
    ("Path", _some_path),
    ("UtcTime", lambda dice: f"2026-11-22 08:00:{dice.randint(0, 59):02}.123"),
    ("TargetObject", lambda dice: f"HKLM\\SOFTWARE\\City\\{dice.choice(WORDS)}"),
    ("PipeName", lambda dice: f"\\{dice.choice(WORDS)}.{dice.getrandbits(16)}"),
    ("Query", lambda dice: f"SELECT * FROM City_{dice.choice(WORDS)} WHERE Number = 7"),
    ("CallTrace", lambda dice: f"C:\\Windows\\System32\\ntdll.dll+{dice.getrandbits(20):x}"),
    ("QueryName", lambda dice: f"{dice.choice(WORDS)}.city.example"),
    ("UserSid", lambda dice: f"S-1-5-21-{dice.getrandbits(31)}-{dice.getrandbits(31)}-1001"),
    ("User", lambda dice: f"CITY\\{_user(dice)}"),
    ("UserName", lambda dice: _user(dice)),
    ("Id", _number),
    ("Port", _number),
)
"""How the name of a field ends -> what stands in it."""

_SIGNED = "Signed Signature SignatureStatus"
_TARGET = "TargetProcessGUID TargetProcessId TargetImage"
_SOURCE = "SourceProcessGUID SourceProcessId SourceImage SourceUser TargetUser"
_SUBJECT = "SubjectUserSid SubjectUserName SubjectDomainName SubjectLogonId"
_SIZES = "FileVersion Description Product Company OriginalFileName"
SYSMON: dict[str, tuple[int, str]] = {
    "file_change": (2, "TargetFilename CreationUtcTime PreviousCreationUtcTime"),
    "network_connection": (
        3,
        "Protocol Initiated SourceIsIpv6 SourceIp SourceHostname SourcePort SourcePortName "
        "DestinationIsIpv6 DestinationIp DestinationHostname DestinationPort DestinationPortName",
    ),
    "driver_load": (6, f"ImageLoaded Hashes {_SIGNED}"),
    "image_load": (7, f"ImageLoaded {_SIZES} Hashes {_SIGNED}"),
    "create_remote_thread": (
        8,
        f"{_SOURCE} {_TARGET} NewThreadId StartAddress StartModule StartFunction",
    ),
    "raw_access_thread": (9, "Device"),
    "process_access": (10, f"{_SOURCE} {_TARGET} SourceThreadId GrantedAccess CallTrace"),
    "file_event": (11, "TargetFilename CreationUtcTime"),
    "registry_add": (12, "EventType TargetObject"),
    "registry_delete": (12, "EventType TargetObject"),
    "registry_set": (13, "EventType TargetObject Details"),
    "registry_event": (13, "EventType TargetObject Details"),
    "create_stream_hash": (15, "TargetFilename CreationUtcTime Hash Contents"),
    "pipe_created": (17, "EventType PipeName"),
    "wmi_event": (20, "EventType Operation Name Type Destination"),
    "dns_query": (22, "QueryName QueryStatus QueryResults"),
    "file_delete": (23, "TargetFilename Hashes IsExecutable Archived"),
    "process_tampering": (25, "Type"),
    "file_executable_detected": (29, "TargetFilename Hashes"),
}
"""Category -> event id and fields beside those of every record of Sysmon."""
_POWERSHELL = "Microsoft-Windows-PowerShell"
OTHER = ("Microsoft-Windows-{}/Operational", "Microsoft-Windows-{}", (1, 2, 100, 301), "Message")
LOGS: dict[str, tuple[str, str, tuple[int, ...], str]] = {
    "ps_script": (
        f"{_POWERSHELL}/Operational",
        _POWERSHELL,
        (4104,),
        "MessageNumber MessageTotal ScriptBlockText ScriptBlockId Path",
    ),
    "ps_module": (f"{_POWERSHELL}/Operational", _POWERSHELL, (4103,), "ContextInfo Payload"),
    "ps_classic_start": ("Windows PowerShell", "PowerShell", (400,), "Data"),
    "security": (
        "Security",
        "Microsoft-Windows-Security-Auditing",
        (4624, 4634, 4648, 4672, 4690, 4703, 5156, 5158),
        f"{_SUBJECT} TargetUserSid TargetUserName TargetDomainName TargetLogonId LogonType "
        "LogonProcessName AuthenticationPackageName WorkstationName LogonGuid ProcessId "
        "ProcessName IpAddress IpPort",
    ),
    "system": ("System", "Service Control Manager", (7036, 7040, 10016), "param1 param2"),
    "application": ("Application", "City Permits", (1, 1000, 1001), "Data"),
}
"""Category or service -> channel, provider, event ids, fields."""


def file_record(dice: random.Random) -> dict[str, Any]:
    record = _sysmon(11, "file_event", dice)
    del record["_more"]
    folder = dice.choice((r"C:\Users\{}\AppData\Local\City", r"D:\Data\{}", r"C:\ProgramData\{}"))
    name = f"{dice.choice(WORDS)}-{dice.getrandbits(20)}.{dice.choice(('tmp', 'log', 'json'))}"
    return record | {"TargetFilename": f"{folder.format(_user(dice))}\\{name}"}


def registry_record(dice: random.Random) -> dict[str, Any]:
    record = _sysmon(13, "registry_set", dice)
    del record["_more"]
    return record | {
        "EventType": "SetValue",
        "TargetObject": f"HKLM\\SOFTWARE\\City\\{dice.choice(WORDS)}\\{dice.choice(WORDS)}",
        "Details": f"DWORD (0x{dice.getrandbits(32):08x})",
    }


def network_record(dice: random.Random) -> dict[str, Any]:
    record = _sysmon(3, "network_connection", dice)
    del record["_more"]
    return record | {
        "Protocol": "tcp",
        "Initiated": "true",
        "SourceIp": f"10.20.{dice.randint(0, 255)}.{dice.randint(1, 254)}",
        "SourcePort": str(dice.randint(49152, 65535)),
        "DestinationIp": f"10.1.{dice.randint(0, 255)}.{dice.randint(1, 254)}",
        "DestinationHostname": f"{dice.choice(WORDS)}.city.example",
        "DestinationPort": dice.choice(("443", "445", "53", "8080")),
    }


def image_record(dice: random.Random) -> dict[str, Any]:
    record = _sysmon(7, "image_load", dice)
    del record["_more"]
    return record | {
        "ImageLoaded": f"C:\\Windows\\System32\\{dice.choice(WORDS)}{dice.randint(1, 99)}.dll",
        "Signed": "true",
        "Signature": "City Works",
        "SignatureStatus": "Valid",
        "Hashes": f"SHA256={dice.getrandbits(256):064X}",
    }
