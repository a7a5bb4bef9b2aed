"""`soc` on a cluster, as an admin, a node and an analyst run it."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from soc.config.secret import SecretRef
from tests.command import Ran, soc
from tests.elastic.cluster import Cluster

pytestmark = [pytest.mark.elastic, pytest.mark.slow]
LINE = b"Nov 22 08:15:30 web7 sshd[811]: Failed password for root from 10.1.2.3 port 51022 ssh2\n"


@pytest.fixture
def master(cluster: Cluster, place: str) -> Mapping[str, str]:
    """The environment of somebody who administers the cluster."""
    found = {"SOC_STORE__URL": cluster.url, "SOC_STORE__ENVIRONMENT": place}
    if cluster.ca:
        found["SOC_STORE__CA"] = str(cluster.ca)
    return found | {"SOC_STORE__USER": cluster.user, "SOC_STORE__PASSWORD": str(cluster.secret)}


def test_from_an_empty_cluster_to_an_answer(
    master: Mapping[str, str], cluster: Cluster, tmp_path: Path
) -> None:
    def run(*arguments: str, environ: Mapping[str, str] = master, input: bytes = b"") -> Ran:
        ran = soc(*arguments, home=tmp_path, environ=environ, input=input)
        assert "Traceback" not in ran.err
        return ran

    assert run("store", "init").code == 0
    assert run("store", "init").code == 0
    made = run("store", "keys", "create", "web7", "web7.key", "--role", "node", "--days", "30")
    assert made.code == 0, made.err
    key = (tmp_path / "web7.key").read_text().strip()
    assert (tmp_path / "web7.key").stat().st_mode & 0o777 == 0o600
    assert key not in made.out + made.err
    assert (
        run("store", "keys", "create", "x", "web7.key", "--role", "node", "--days", "1").code == 2
    )

    plain = {name: value for name, value in master.items() if "USER" not in name}
    node = plain | {"SOC_STORE__API_KEY": str(SecretRef("file", f"{tmp_path}/web7.key"))}
    node.pop("SOC_STORE__PASSWORD")
    (tmp_path / "auth.log").write_bytes(LINE * 3)
    stored = run("collect", "file", "auth.log", "--to-store", environ=node)
    assert stored.code == 0, stored.err
    denied = run("hunt", "failed", environ=node)
    assert denied.code == 5
    assert "may not do this" in denied.err

    until = time.monotonic() + 10  # what others store is searchable a second later
    while not (found := run("hunt", "user.name:ROOT").documents) and time.monotonic() < until:
        time.sleep(0.2)
    assert [one["user"]["name"] for one in found] == ["root"] * 3
    (info,) = run("store", "status").documents
    assert (info["kind"], info["events"]) == ("elastic", 3)
    (listed,) = run("store", "keys", "list").documents
    assert (listed["name"], listed["state"]) == ("web7", "valid")
    assert run("store", "keys", "revoke", "web7").code == 0
    refused = run("collect", "file", "auth.log", "--to-store", environ=node)
    assert refused.code == 5
    assert "soc store keys" in refused.err


def test_a_wrong_ca_is_refused(master: Mapping[str, str], cluster: Cluster, tmp_path: Path) -> None:
    if cluster.ca is None:
        pytest.skip("the cluster of METROSOC_TEST_ES_URL has no private CA")
    environ = {name: value for name, value in master.items() if name != "SOC_STORE__CA"}
    ran = soc("store", "status", home=tmp_path, environ=environ)
    assert ran.code == 5
    assert "certificate is not trusted" in ran.err
    assert "[store] ca" in ran.err


def test_what_is_wrong_is_said(master: Mapping[str, str], tmp_path: Path) -> None:
    nobody = master | {"SOC_STORE__URL": "https://127.0.0.1:9"}
    ran = soc("store", "status", home=tmp_path, environ=nobody)
    assert ran.code == 5
    assert "cannot be reached" in ran.err
    far = master | {"SOC_STORE__URL": "http://soc.example:9200"}
    ran = soc("store", "status", home=tmp_path, environ=far)
    assert ran.code == 3
    assert "https://" in ran.err
