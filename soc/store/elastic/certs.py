"""A private CA and the certificates of a cluster's servers, made by openssl.

A certificate is good for both sides of a connection (nodes speak to each other too) and for the
names it was made for, which a client compares. Keys are readable by their owner only.
"""

import ipaddress
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from soc.errors import ContentError, Refused, UsageError

CA_DAYS: Final = 3650
_NEW: Final = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -utf8".split()
_SIGNS: Final = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
_SERVES: Final = (
    "basicConstraints=critical,CA:FALSE",
    "keyUsage=critical,digitalSignature",
    "extendedKeyUsage=serverAuth,clientAuth",
)


def authority(folder: Path) -> bool:
    """Make `ca.crt` and `ca.key`; False where they are, nothing replaces them."""
    key, crt = folder / "ca.key", folder / "ca.crt"
    if key.exists() and crt.exists():
        return False
    if key.exists() or crt.exists():
        there = key if key.exists() else crt
        hint = "put its other half there, or take an empty folder"
        raise Refused("half of a CA is there, which is not replaced", where=str(there), hint=hint)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _openssl(key, crt, "metrosoc CA", CA_DAYS, _SIGNS, [])
    return True


def certificate(folder: Path, name: str, *, hosts: Sequence[str], days: int) -> None:
    """Make `NAME.crt` and `NAME.key` for these host names and addresses, signed by the CA."""
    if name == "ca" or not _plain(name):
        raise UsageError(f"no file can be called {name!r}", hint="es1.soc.example")
    key, crt = folder / f"{name}.key", folder / f"{name}.crt"
    for path in (key, crt):
        if path.exists():
            raise Refused("is there already", where=str(path), hint="move it away first")
    names = ",".join(map(_alternative, hosts))
    signer = ["-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key")]
    _openssl(key, crt, name, days, (*_SERVES, f"subjectAltName={names}"), signer)


def _plain(name: str) -> bool:
    letters = name.replace("-", "").replace(".", "").replace(":", "").replace("_", "")
    return letters.isascii() and letters.isalnum() and name[0] not in "-." and len(name) <= 64


def _alternative(host: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(host)}"
    except ValueError:
        pass
    if not _plain(host) or ":" in host:
        raise UsageError(f"{host!r} is no host name", hint="es1.soc.example or 10.1.2.3")
    return f"DNS:{host}"


def _openssl(
    key: Path, crt: Path, name: str, days: int, extensions: Sequence[str], signer: Sequence[str]
) -> None:
    program = shutil.which("openssl")
    if program is None:
        raise ContentError("openssl is not installed", hint="apt-get install openssl")
    added = [part for one in extensions for part in ("-addext", one)]
    command = [program, *_NEW, "-days", str(days), "-subj", f"/CN={name}", *added, *signer]
    try:
        os.close(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        done = subprocess.run(  # noqa: S603 - no shell, and names are plain
            [*command, "-keyout", str(key), "-out", str(crt)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except OSError as error:
        raise UsageError(
            str(error.strerror), where=str(key), hint="a folder you may write"
        ) from None
    if done.returncode:
        key.unlink(missing_ok=True)
        crt.unlink(missing_ok=True)
        reason = done.stderr.strip().rpartition("\n")[2]
        raise ContentError(f"openssl: {reason}", where=str(crt), hint="OpenSSL 3 is needed")
    crt.chmod(0o600)
