"""A real OpenLDAP server with the password policy overlay, on the loopback, in a folder."""

import os
import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.data import ROOT as ROOT_FOLDER
from tests.playbooks.servers.programs import certificate, free_port, program, stop, wait_for

BASE = "dc=city,dc=example"
ROOT = f"cn=root,{BASE}"
RESPONDER = f"cn=responder,{BASE}"
SECRET = "canary-responder-7f3a"  # not a secret: this server lives for one test
USERS = ("an.nguyen", "binh.tran", "chi.le", "duty", "lax")

_CONFIG = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
TLSCertificateFile {chain}
TLSCertificateKeyFile {key}
database mdb
suffix "{base}"
rootdn "{root}"
rootpw root
directory {folder}/db
overlay ppolicy
ppolicy_default "cn=default,{base}"
"""

_ENTRIES = """\
dn: {base}
objectClass: dcObject
objectClass: organization
o: City
dc: city

dn: cn=default,{base}
objectClass: device
objectClass: pwdPolicy
cn: default
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: 5

dn: cn=lax,{base}
objectClass: device
objectClass: pwdPolicy
cn: lax
pwdAttribute: userPassword
pwdLockout: FALSE

dn: cn=operators,{base}
objectClass: groupOfNames
cn: operators
member: uid=an.nguyen,{base}

dn: cn=double-1,{base}
objectClass: inetOrgPerson
uid: double
cn: double-1
sn: One

dn: cn=double-2,{base}
objectClass: inetOrgPerson
uid: double
cn: double-2
sn: Two

dn: {responder}
objectClass: organizationalRole
objectClass: simpleSecurityObject
objectClass: uidObject
cn: responder
uid: responder
userPassword: {secret}
"""

_USER = """
dn: uid={user},{base}
objectClass: inetOrgPerson
uid: {user}
cn: {user}
sn: Example
userPassword: {user}-password
"""


def documented_access() -> str:
    """Return the access rules that docs/actions.md tells people to set."""
    page = (ROOT_FOLDER / "docs" / "actions.md").read_text("utf-8")
    start = page.index("    access to attrs=userPassword")
    return textwrap.dedent(page[start : page.index("\n`compare`", start)]).replace("\n\n", "\n")


class Slapd:
    """A running server; everything here goes through OpenLDAP's own programs."""

    def __init__(self, folder: Path, chain: Path, port: int, tls_port: int) -> None:
        self.folder = folder
        self.chain = chain
        self.port = port
        self.tls_port = tls_port

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    def dn(self, user: str) -> str:
        return f"uid={user},{BASE}"

    def login_works(self, user: str) -> bool:
        """Try to log in as a person does."""
        done = self._run("ldapwhoami", "-D", self.dn(user), "-w", f"{user}-password")
        assert done.returncode in (0, 49), done.stderr
        return done.returncode == 0

    def lock_of(self, user: str) -> str:
        """Return the value of pwdAccountLockedTime, "" when there is none."""
        done = self._root("ldapsearch", "-LLL", "-b", self.dn(user), "pwdAccountLockedTime")
        found = [line for line in done.splitlines() if line.startswith("pwdAccountLockedTime: ")]
        return found[0].split(": ")[1] if found else ""

    def failed_logins(self, user: str) -> int:
        """Return how many failed logins the server remembers."""
        done = self._root("ldapsearch", "-LLL", "-b", self.dn(user), "pwdFailureTime")
        return done.count("pwdFailureTime: ")

    def mistype(self, user: str) -> None:
        """Try to log in with a wrong password."""
        assert self._run("ldapwhoami", "-D", self.dn(user), "-w", "wrong").returncode == 49

    def entries(self) -> str:
        """Return the whole database as LDIF."""
        return self._root("ldapsearch", "-LLL", "-b", BASE, "*", "pwdAccountLockedTime")

    def set_lock(self, user: str, value: str) -> None:
        """Set pwdAccountLockedTime as an administrator does; "" removes it."""
        lines = f"dn: {self.dn(user)}\nchangetype: modify\nreplace: pwdAccountLockedTime\n"
        self._root("ldapmodify", text=lines + (f"pwdAccountLockedTime: {value}\n" if value else ""))

    def add(self, ldif: str) -> None:
        self._root("ldapadd", text=ldif)

    def delete(self, dn: str) -> None:
        self._root("ldapdelete", dn)

    def _root(self, name: str, *arguments: str, text: str = "") -> str:
        done = self._run(name, "-D", ROOT, "-w", "root", *arguments, text=text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _run(self, name: str, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        command = [program(name, "ldap-utils"), "-x", "-H", self.url, *arguments]
        environ = {**os.environ, "LDAPNOINIT": "1"}
        return subprocess.run(
            command, input=text, text=True, capture_output=True, timeout=20, env=environ
        )


@contextmanager
def running(folder: Path) -> Iterator[Slapd]:
    """Start a server with a few people in it; it ends with the block."""
    slapd, slapadd = program("slapd", "slapd"), program("slapadd", "slapd")
    program("ldapwhoami", "ldap-utils")
    chain, key = certificate(folder)
    (folder / "db").mkdir()
    config = folder / "slapd.conf"
    names = {"base": BASE, "root": ROOT, "responder": RESPONDER, "folder": folder}
    config.write_text(_CONFIG.format(chain=chain, key=key, **names) + documented_access())
    people = "".join(_USER.format(user=user, base=BASE) for user in USERS)
    people += f"pwdPolicySubentry: cn=lax,{BASE}\n"  # the last of USERS
    ldif = _ENTRIES.format(secret=SECRET, **names) + people
    subprocess.run(
        [slapadd, "-f", str(config)], input=ldif, text=True, check=True, capture_output=True
    )
    port, tls_port = free_port(), free_port()
    urls = f"ldap://127.0.0.1:{port}/ ldaps://127.0.0.1:{tls_port}/"
    process = subprocess.Popen(
        [slapd, "-f", str(config), "-h", urls, "-d", "0"], stderr=subprocess.DEVNULL
    )
    try:
        wait_for(port, process)
        yield Slapd(folder, chain, port, tls_port)
    finally:
        stop(process)
