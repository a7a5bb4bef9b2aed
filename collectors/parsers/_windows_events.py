"""What Windows events mean: event.module -> event id -> meaning; System, PowerShell, Defender."""

from collections.abc import Mapping
from typing import Final

from collectors.parsers._windows_security import SECURITY, SERVICE, SUBJECT
from collectors.parsers._windows_sysmon import SYSMON, Meaning, Twins, image
from collectors.parsers._windows_values import account, domain, leaf, threat_path

SYSTEM: Final[Mapping[str, Meaning]] = {
    "104": Meaning("configuration", ("deletion",), "log-cleared", SUBJECT),
    "7036": Meaning("configuration", ("change",), "service-state-changed"),
    "7040": Meaning("configuration", ("change",), "service-start-changed"),
    "7045": Meaning("configuration", ("creation",), "service-installed", SERVICE),
}

POWERSHELL: Final[Mapping[str, Meaning]] = {
    "400": Meaning("process", ("start",), "engine-started"),
    "403": Meaning("process", ("end",), "engine-stopped"),
    "600": Meaning("process", ("info",), "provider-started"),
    "800": Meaning("process", ("info",), "pipeline-executed"),
    "4103": Meaning("process", ("info",), "command-executed"),
    "4104": Meaning("process", ("info",), "script-block-executed"),
}

_THREAT: Final[Twins] = (
    ("file.path", "Path", threat_path),
    ("file.name", "Path", leaf),
    *image("process", "ProcessName"),
    ("user.name", "DetectionUser", account),
    ("user.domain", "DetectionUser", domain),
)
DEFENDER: Final[Mapping[str, Meaning]] = {
    "1116": Meaning("malware", ("info",), "malware-detected", _THREAT),
    "1117": Meaning("malware", ("info",), "malware-acted-on", _THREAT),
    "1118": Meaning("malware", ("info",), "malware-action-failed", _THREAT, "failure"),
    "1119": Meaning("malware", ("info",), "malware-action-failed", _THREAT, "failure"),
    "5001": Meaning("configuration", ("change",), "realtime-protection-disabled"),
    "5007": Meaning("configuration", ("change",), "defender-configuration-changed"),
    "5010": Meaning("configuration", ("change",), "malware-scanning-disabled"),
    "5012": Meaning("configuration", ("change",), "virus-scanning-disabled"),
}

MEANINGS: Final[Mapping[str, Mapping[str, Meaning]]] = {
    "sysmon": SYSMON,
    "security": SECURITY,
    "system": SYSTEM,
    "powershell": POWERSHELL,
    "defender": DEFENDER,
}
MODULES: Final[Mapping[str, str]] = {
    "microsoft-windows-sysmon": "sysmon",
    "microsoft-windows-sysmon/operational": "sysmon",
    "linux-sysmon": "sysmon",
    "linux-sysmon/operational": "sysmon",
    "security": "security",
    "microsoft-windows-security-auditing": "security",
    "system": "system",
    "service control manager": "system",
    "powershell": "powershell",
    "windows powershell": "powershell",
    "microsoft-windows-powershell": "powershell",
    "microsoft-windows-powershell/operational": "powershell",
    "powershellcore": "powershell",
    "powershellcore/operational": "powershell",
    "microsoft-windows-windows defender": "defender",
    "microsoft-windows-windows defender/operational": "defender",
}
"""Channel or provider in lower case -> event.module; everything else is `windows`."""
