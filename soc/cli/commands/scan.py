"""Scan files with YARA: web shells, droppers, defaced pages; no store is needed."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soc.cli.common import (
    FailOnOption,
    FieldsOption,
    FormatOption,
    FullOption,
    JsonOption,
    OutputOption,
    QuietOption,
    StoreOption,
    UnitOption,
    levels_from,
    opened,
    settings,
)
from soc.cli.failures import show
from soc.cli.output import Column, results
from soc.cli.table import level_column
from soc.cli.terminal import note, progress
from soc.errors import Exit, SocError
from soc.i18n import _, ngettext

if TYPE_CHECKING:
    from detectors.yara.load import YaraReport
    from soc.model.finding import Finding
    from soc.run.scanning import Scan

COLUMNS = (
    level_column(),
    Column("rule.name", _("Rule"), 44),
    Column("file.path", _("File"), 60),
    Column("soc.yara.member.name", _("Inside"), 30),
    Column("file.size", _("Size"), 11),
    Column("file.hash.sha256", _("SHA-256"), 16),
)


def command(
    paths: Annotated[list[Path], typer.Argument(help=_("Files, or folders of them at any depth."))],
    rules: Annotated[
        list[Path] | None,
        typer.Option("--rules", help=_("A YARA file or folder instead of the configured ones.")),
    ] = None,
    fail_on: FailOnOption = None,
    to_store: Annotated[
        bool, typer.Option("--to-store", help=_("Store the events and raise alerts, each once."))
    ] = False,
    store: StoreOption = None,
    unit: UnitOption = "",
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    fields: FieldsOption = None,
    full: FullOption = False,
    quiet: QuietOption = False,
) -> None:
    """Scan files by the YARA rules and print the findings.

    Archives (zip, gzip, tar, documents) are looked into. Links in folders are not followed. What
    could not be judged is told, and the exit code is then 4.

    \b
    Example: soc scan /var/www --fail-on high
    Example: soc scan upload.zip --json | jq .reason
    """
    from soc.run.scanning import yara_rules

    failing = levels_from(fail_on)
    config = settings(store=store)
    loaded = yara_rules(rules or (), config.rules.paths)
    for rejection in loaded.rejected:
        note(_("rule left out: {why}").format(why=rejection), quiet=quiet)
    problems = list[SocError]()

    def tell(error: SocError) -> None:
        problems.append(error)
        show(error)

    scan = _scan(loaded, config.node.name, unit or config.node.unit, quiet)
    scan.problem = tell
    with ExitStack() as stack:
        scan.advance = stack.enter_context(progress(_("scanning"), None, quiet=quiet))
        write = stack.enter_context(
            results(COLUMNS, format, json=json, output=output, fields=fields, full=full)
        )
        for finding in _findings(scan, paths, to_store, store, quiet):
            write(finding)
    if not quiet:
        _tell(scan, len(problems))
    if problems:
        raise typer.Exit(Exit.INPUT)
    if any(scan.summary.levels[level] for level in failing):
        raise typer.Exit(Exit.FINDINGS)


def _scan(loaded: "YaraReport", node: str, unit: str, quiet: bool) -> "Scan":
    from detectors.yara.events import Origin
    from soc.model.time import now
    from soc.run.scanning import Scan

    known = {"host.name": node} | ({"organization.unit": unit} if unit else {})
    return Scan(
        loaded,
        Origin(node, now(), known),
        problem=show,
        note=lambda path, text: note(f"{path}: {text}", quiet=quiet),
    )


def _findings(
    scan: "Scan", paths: list[Path], to_store: bool, url: str | None, quiet: bool
) -> "Iterator[Finding]":
    events = scan.events(paths)
    if not to_store:
        yield from scan.findings(events)
        return
    from soc.model.time import now
    from soc.run.scanning import store_scan

    raised = known = 0
    with opened(url, make=True) as store:
        for finding, new in store_scan(events, scan, store, now):
            raised, known = raised + new, known + (not new)
            yield finding
    text = ngettext("{raised} alert raised", "{raised} alerts raised", raised)
    rest = _("{known} were there already")
    note(f"{text}, {rest}".format(raised=raised, known=known), quiet=quiet)


def _tell(scan: "Scan", problems: int) -> None:
    summary = scan.summary
    files = ngettext("{n} file", "{n} files", summary.files).format(n=summary.files)
    found = ngettext("{n} finding", "{n} findings", summary.findings).format(n=summary.findings)
    note(_("{files} ({size} MiB), {found}").format(files=files, size=scan.size >> 20, found=found))
    if problems:
        note(
            ngettext(
                "{n} problem: not everything was judged",
                "{n} problems: not everything was judged",
                problems,
            ).format(n=problems)
        )
    if summary.findings:
        totals = summary.as_dict()
        for title, counts in ((_("levels"), totals["levels"]), (_("top rules"), totals["rules"])):
            note(f"{title}: " + ", ".join(f"{k} {v}" for k, v in list(counts.items())[:5]))
