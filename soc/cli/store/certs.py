"""Make a private CA and the certificates of a cluster's servers."""

from pathlib import Path
from typing import Annotated

import typer

from soc.cli.terminal import note
from soc.i18n import _


def command(
    folder: Annotated[Path, typer.Argument(help=_("Where they are kept; its CA is used again."))],
    names: Annotated[
        list[str], typer.Argument(help=_("A server each: its name and addresses, with commas."))
    ],
    days: Annotated[
        int, typer.Option("--days", min=1, max=3650, help=_("How long the certificates last."))
    ] = 730,
) -> None:
    """Make a private CA, once, and a certificate for each server.

    A server's first name is what its files are called. ca.key signs whom everybody trusts: keep it
    away from the servers.

    \b
    Example: soc store certs /root/ca es1.soc.example,10.1.2.1 es2.soc.example,10.1.2.2
    """
    from soc.store.elastic.certs import authority, certificate

    servers = [[part for part in one.split(",") if part] or [one] for one in names]
    if authority(folder):
        note(_("{path} is the new CA").format(path=folder / "ca.crt"))
    for hosts in servers:
        certificate(folder, hosts[0], hosts=hosts, days=days)
        _explain(folder, hosts[0])
    note(_("in soc.toml, on every machine:"))
    note(f'[store] url = "https://{servers[0][0]}:9200", ca = "/etc/metrosoc/ca.crt"')


def _explain(folder: Path, name: str) -> None:
    note(_("{name}: copy to the server's config folder:").format(name=name))
    note(f"{folder / name}.crt {folder / name}.key {folder / 'ca.crt'}")
    note(_("and in its elasticsearch.yml:"))
    note("xpack.security.enabled: true")
    for layer in ("http", "transport"):
        note(f"xpack.security.{layer}.ssl.enabled: true")
        note(f"xpack.security.{layer}.ssl.certificate: {name}.crt")
        note(f"xpack.security.{layer}.ssl.key: {name}.key")
        note(f"xpack.security.{layer}.ssl.certificate_authorities: [ca.crt]")
    note("xpack.security.transport.ssl.verification_mode: full")
