"""TLS for the servers of tests: a certificate of the loopback that trusts itself."""

import atexit
import shutil
import ssl
import tempfile
from functools import cache
from pathlib import Path

from tests.playbooks.servers.programs import certificate


@cache
def loopback() -> tuple[Path, ssl.SSLContext]:
    """Return the certificate to trust, and what a server uses it with."""
    folder = Path(tempfile.mkdtemp(prefix="metrosoc-tls-"))
    atexit.register(shutil.rmtree, folder)
    chain, key = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return chain, context
