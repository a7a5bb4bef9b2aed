"""An alert explained: why it fired, what it rests on, what happened around it, what to do."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from soc.i18n import _
from soc.text import safe, shorten

if TYPE_CHECKING:
    from soc.alerts.context import Context
    from soc.model.event import Event
    from soc.run.explaining import Explained

WIDTH: Final = 160
"""Characters of a value that are shown without `--full`."""


def document(context: "Context", guide: str) -> dict[str, Any]:
    """Return the explanation as one nested document."""
    from soc.model.event import nest

    return {
        "alert": nest(context.alert),
        "events": [nest(event) for event in context.events],
        "neighbours": [nest(event) for event in context.neighbours],
        "history": [entry.as_dict() for entry in context.history],
        "seen_before": [nest(alert) for alert in context.seen_before],
        "guide": guide,
    }


def lines(context: "Context", guide: str, *, full: bool = False) -> Iterator[str]:
    """Yield the explanation for a person, every line safe to print."""
    width = 1_000_000 if full else WIDTH
    yield from _head(context.alert)
    yield from _section(_("Why it fired"), reason(context.alert["soc.reason"], width))
    raw = (_cut(event.get("event.original", ""), width) for event in context.events)
    yield from _section(_("Raw event"), raw)
    around = [_event_line(event, width) for event in context.neighbours]
    yield from _section(_("Five minutes before and after, same host, user or address"), around)
    before = [
        f"{a['@timestamp'][:19]}Z  {a.get('soc.alert.verdict', '')}  "
        + _cut(a.get("soc.alert.reason", ""), width)
        for a in context.seen_before
    ]
    yield from _section(_("How this was closed before"), before)
    history = [
        f"{e.at[:19]}Z  {safe(e.actor)}  {e.action}: {e.state_from} -> {e.state_to}"
        + (f"  {e.verdict}" if e.verdict else "")
        + (f"  {_cut(e.reason, width)}" if e.reason else "")
        for e in context.history
    ]
    yield from _section(_("History"), history)
    yield from _section(_("What to do"), map(safe, guide.splitlines()))


def _head(alert: "Event") -> Iterator[str]:
    yield safe(f"{alert['rule.name']}  [{alert['rule.level']}, {alert['soc.alert.state']}]")
    yield f"  {_('id')}: {safe(alert['soc.alert.id'])}"
    yield f"  {_('time')}: {safe(alert['@timestamp'])}"
    named = (
        (_("about"), alert.get("soc.entities", [])),
        (_("ATT&CK"), alert.get("threat.technique.id", [])),
        (_("author"), alert.get("rule.author", [])),
    )
    for title, found in named:
        if found:
            yield f"  {title}: {safe(', '.join(found))}"
    yield f"  {_('rule')}: {safe(alert['rule.id'])}"
    if text := alert.get("rule.description"):
        yield f"  {safe(text)}"


def _section(title: str, body: Any) -> Iterator[str]:  # noqa: ANN401 - any iterable of lines
    body = list(body)
    if body:
        yield ""
        yield title
        yield from (f"  {line}" for line in body)


def explanation(told: "Explained", *, full: bool = False) -> Iterator[str]:
    """Yield what a rule says of an event: a heading and the whole tree, every line safe."""
    width = 1_000_000 if full else WIDTH
    yield safe(f"{told.rule.title}: {_said(told)}")
    for line in reason(told.reason.as_dict(), width, whole=True):
        yield f"  {line}"


def _said(told: "Explained") -> str:
    matched, identifier = told.reason.matched, told.event.get("event.id", "")
    if told.scope == "series":
        return _("became true over all events, with {id}").format(id=identifier)
    if told.scope == "part":
        text = _("event {id} counts") if matched else _("event {id} does not count")
    else:
        text = _("event {id} matches") if matched else _("event {id} does not match")
    return text.format(id=identifier)


def reason(tree: Mapping[str, Any], width: int = WIDTH, *, whole: bool = False) -> Iterator[str]:
    """Yield the reason tree, a line a node.

    Unless the `whole` is wanted, branches that did not decide are left out.
    """
    stack: list[tuple[int, Mapping[str, Any]]] = [(0, tree)]
    while stack:
        depth, node = stack.pop()
        yield "  " * depth + _reason_line(node, width)
        children: Sequence[Mapping[str, Any]] = node.get("children", ())
        shown = [
            c
            for c in children
            if whole or c["matched"] or not node["matched"] or node["kind"] == "not"
        ]
        stack += [(depth + 1, child) for child in reversed(shown)]


def _reason_line(node: Mapping[str, Any], width: int) -> str:
    mark = "+" if node["matched"] else "-"
    if "field" not in node:
        pattern = f" {_cut(node['pattern'], width)}" if node.get("pattern") else ""
        return f"{mark} {_cut(node['label'], width)}{pattern}"
    value = _("absent") if node.get("value") is None else repr_text(node["value"], width)
    return (
        f"{mark} {_cut(node['label'], width)} {_cut(node.get('pattern', ''), width)}  <-  {value}"
    )


def repr_text(value: Any, width: int) -> str:  # noqa: ANN401 - any JSON value
    """Return a field's value in quotes, cut to a width."""
    return f"'{_cut(value, width)}'" if isinstance(value, str) else _cut(str(value), width)


def _event_line(event: "Event", width: int) -> str:
    text = event.get("message") or event.get("event.original", "")
    where = event.get("host.name", "")
    return f"{event['@timestamp'][:19]}Z  {safe(where)}  {_cut(text, min(width, 120))}"


def _cut(text: str, width: int) -> str:
    return shorten(safe(text[: width * 2]), width)
