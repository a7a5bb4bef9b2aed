"""The soc.toml that `soc init` writes: every option with its meaning, the logs found here."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

USUAL: Final = (
    "/var/log/auth.log",
    "/var/log/secure",
    "/var/log/nginx/access.log",
    "/var/log/apache2/access.log",
    "/var/log/httpd/access_log",
    "/var/log/suricata/eve.json",
)
"""Where logs lie on common systems."""

_HEAD: Final = """\
# soc.toml: the configuration of metrosoc. `soc config show --origin` tells what holds and why.
# Flags win over SOC_SECTION__KEY variables, over ./soc.toml, over
# ~/.config/metrosoc/soc.toml, over /etc/metrosoc/soc.toml.
# Secrets are never written here, only where they lie: "file:/path", "env:NAME",
# "credential:NAME" (systemd) or "keyring:service/name".

[paths]
# Where this machine keeps its store, its key and its position in each log.
# state = "/var/lib/metrosoc"

[store]
# Where events and alerts live; by default in the state folder.
# url = "sqlite:/var/lib/metrosoc/store"
# environment = "default"

[node]
# What this machine is called (by default its host name), and the unit it belongs to.
# name = "portal-01"
# unit = "City portal"

[rules]
# Sigma rule files and folders; by default those that come with soc.
# paths = ["/etc/metrosoc/rules"]

[retention]
# How long events stay; whichever limit is reached first counts. By default for ever.
# days = 90
# bytes = 20_000_000_000

# Files that `soc run` follows. `path` may be a pattern such as "/var/log/nginx/*.log".
# parser   by default the records are recognised; `soc collect parsers` names them
# zone     of time stamps that name none; "local" is this machine's
# unit     by default the node's
"""


def starter(present: Iterable[str] | None = None) -> str:
    """Return the text of a new soc.toml; `present` are the logs found, by default looked for."""
    paths = _found() if present is None else list(present)
    if not paths:
        return _HEAD + _entry("/var/log/auth.log", comment="# ")
    return _HEAD + "".join(_entry(path) for path in paths)


def _found() -> list[str]:
    return [path for path in USUAL if Path(path).is_file() and os.access(path, os.R_OK)]


def _entry(path: str, comment: str = "") -> str:
    return "".join(
        f"{comment}{line}\n" if line else "\n"
        for line in ("", "[[inputs]]", f"path = {json.dumps(path)}", 'zone = "local"')
    )
