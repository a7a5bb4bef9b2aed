"""See an intrusion from the first probe to the wiped logs, every alert with its reason."""

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

import typer

from soc.cli.common import JsonOption, OutputOption, settings
from soc.cli.output import json_text, target
from soc.errors import Exit
from soc.i18n import _, languages
from soc.model.alert import short_id
from soc.text import safe

if TYPE_CHECKING:
    from soc.model.event import Event
    from soc.run.demo import Played, Step


def command(json: JsonOption = False, output: OutputOption = None) -> None:
    """Play an intrusion into a city's portal and its one-stop server, and explain every alert.

    Needs no root, no network and no configuration; takes a few seconds. The store it fills stays,
    so that every other command can be tried on it; a second run changes nothing.

    \b
    Example: soc demo
    """
    from soc.model.time import now
    from soc.run.demo import play
    from soc.store.open import open_store

    played = play(settings().paths.state / "demo", open_store, now)
    language = (languages() or ["en"])[0][:2]
    with target(output) as stream:
        if json:
            stream.write(json_text(_document(played, language)) + "\n")
        else:
            stream.writelines(f"{line}\n" for line in _lines(played, language))
    if played.missing:
        raise typer.Exit(Exit.BUG)


def _try_next(played: "Played") -> list[str]:
    store = f"--store sqlite:{played.store}"
    worst = next(
        alert
        for level in ("critical", "high")
        for step in played.steps
        for alert in step.alerts
        if alert["rule.level"] == level
    )
    address = next(a["source.ip"] for step in played.steps for a in step.alerts if "source.ip" in a)
    return [
        f"soc alerts list --level high {store}",
        f"soc alerts show {short_id(worst['soc.alert.id'])} {store}",
        f"soc hunt source.ip:{address} --count-by event.dataset {store}",
    ]


def _document(played: "Played", language: str) -> dict[str, Any]:
    from soc.model.event import nest

    return {
        "title": played.title.in_language(language),
        "events": played.events,
        "alerts": played.alerts,
        "missing": played.missing,
        "steps": [
            {
                "time": step.time.isoformat(),
                "what": step.what.in_language(language),
                "alerts": [nest(alert) for alert in step.alerts],
            }
            for step in played.steps
        ],
        "plan": {"simulated": True, **played.plan.as_dict()} if played.plan else None,
        "try": _try_next(played),
    }


def _lines(played: "Played", language: str) -> Iterator[str]:
    import textwrap

    from soc.cli.plans import plan_lines

    yield safe(played.title.in_language(language))
    for paragraph in played.paragraphs:
        yield ""
        yield from textwrap.wrap(safe(paragraph.in_language(language)), 100)
    yield ""
    for step in played.steps:
        yield f"{step.time:%H:%M:%S}  {safe(step.what.in_language(language))}"
        yield from _alerts(step)
    if played.plan:
        yield ""
        yield _("What a playbook would do about it, against a simulated packet filter:")
        yield from (f"  {line}" for line in plan_lines(played.plan))
    yield ""
    yield _("{events} events stored, {alerts} alerts raised").format(
        events=played.events, alerts=played.alerts
    )
    yield _("Try next:")
    yield from (f"  {line}" for line in _try_next(played))


def _alerts(step: "Step") -> Iterator[str]:
    by_rule = sorted(step.alerts, key=lambda alert: str(alert["rule.id"]))
    for _rule, members in groupby(by_rule, key=lambda alert: str(alert["rule.id"])):
        alerts = list(members)
        first = alerts[0]
        times = f"  x{len(alerts)}" if len(alerts) > 1 else ""
        name = f"{safe(first['rule.name'])}{times}"
        yield f"    [{first['rule.level']}] {name}  ({short_id(first['soc.alert.id'])})"
        yield f"        {_('because')} {_decisive(first)}"


def _decisive(alert: "Event") -> str:
    """Return the leaf of the reason that tells most: the longest value that matched."""
    from soc.cli.explain import repr_text

    leaves: list[dict[str, Any]] = []
    stack = [alert["soc.reason"]]
    while stack:
        node = stack.pop()
        stack += [child for child in node.get("children", ()) if child["matched"]]
        if "field" in node:
            leaves.append(node)
    if not leaves:
        return safe(alert["soc.reason"]["label"])
    best = max(leaves, key=lambda leaf: min(len(str(leaf["value"])), 80))
    return f"{safe(best['label'])}: {repr_text(best['value'], 110)}"
