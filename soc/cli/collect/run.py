"""Collect on this node: the inputs into the spool, the spool into the store, until told to stop."""

from typing import TYPE_CHECKING, Any

from soc.cli.common import QuietOption, StoreOption, settings
from soc.cli.terminal import note
from soc.errors import ContentError
from soc.i18n import _

if TYPE_CHECKING:
    from soc.run.settings import Settings


def command(store: StoreOption = None, quiet: QuietOption = False) -> None:
    """Collect from the `[[inputs]]` and send to the store; detection happens elsewhere.

    What was received is on this node's disk before anybody is told so, and is deleted there when
    the store has it: a store that is down for hours costs nothing but disk ([spool] limit). Stops
    on Ctrl-C or SIGTERM. Guarantee: files: at least once, and once in the store; TCP: what the
    kernel had accepted can be lost when this process dies. Only one runs per state folder.

    \b
    Example: soc collect run
    """
    from soc.model.time import now
    from soc.run.collector import Collector
    from soc.run.node import node_key, only_one

    config = settings(store=store)
    if not config.inputs:
        raise ContentError(
            _("there is nothing to collect: the configuration has no [[inputs]]"),
            hint="soc init; soc config show --origin",
        )
    state = config.paths.state
    key = node_key(state)
    with only_one(state, "collector"):
        found = config.store.open()
        try:
            collector = Collector.of(config, key, found, now)
            _greet(config, quiet)
            collector.run()
        finally:
            found.close()
    _farewell(collector.figures, quiet)


def _greet(config: "Settings", quiet: bool) -> None:
    note(
        _("collecting from {inputs} inputs into {store}; Ctrl-C stops").format(
            inputs=len(config.inputs), store=config.store.url
        ),
        quiet=quiet,
    )


def _farewell(figures: dict[str, Any], quiet: bool) -> None:
    events = figures["events"]
    note(
        _(
            "stopped: {emitted} events = {stored} stored + {duplicate} there already"
            " + {dead} dead letters + {queued} not sent; {pending} records wait in the spool"
        ).format(
            emitted=events["emitted"],
            stored=events["stored"],
            duplicate=events["duplicate"],
            dead=events["dead-lettered"],
            queued=events["queued"],
            pending=figures["spool"]["pending"],
        ),
        quiet=quiet,
    )
