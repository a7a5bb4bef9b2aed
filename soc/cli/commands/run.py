"""All in one: follow the configured files, store, detect, raise alerts."""

import signal
from types import FrameType
from typing import TYPE_CHECKING

from soc.cli.common import QuietOption, RulesOption, StoreOption, settings
from soc.cli.rule_set import reloaded, rule_set, tell
from soc.cli.terminal import note
from soc.errors import ContentError
from soc.i18n import _

if TYPE_CHECKING:
    from soc.run.allinone import Counters
    from soc.run.settings import Settings


def command(
    store: StoreOption = None, rules: RulesOption = None, quiet: QuietOption = False
) -> None:
    """Follow the files of `[[inputs]]`, store their events, judge them and raise alerts.

    Stops on Ctrl-C or SIGTERM and goes on where it was at the next start: each line is stored
    once and each alert raised once, also after a crash. Only one runs per state folder.
    Changed rules are taken up within seconds, at once on SIGHUP; a broken set is not.

    \b
    Example: soc run
    """
    from threading import Event

    from soc.model.time import now
    from soc.run.allinone import Input, Runner
    from soc.run.node import node_key, only_one
    from soc.run.rules_watch import Watch
    from soc.run.settings import zone
    from soc.store.base import Retention

    config = settings(store=store, rules=rules)
    if not config.inputs:
        raise ContentError(
            _("there is nothing to follow: the configuration has no [[inputs]]"),
            hint="soc init; soc config show --origin",
        )
    for one in config.inputs:
        if one.listen:
            raise ContentError(
                _("{input}: soc run only follows files").format(input=one.listen),
                hint="soc collect run",
            )
    stop = Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    state = config.paths.state
    key = node_key(state)
    with only_one(state, "run"):
        found = config.store.open()
        reloader = rule_set(config, found)
        loaded = reloader.current
        if problem := found.mismatch():
            note(str(problem))
        runner = Runner(
            store=found,
            inputs=[
                Input(one.path, zone(one.zone), one.parser, one.unit or config.node.unit)
                for one in config.inputs
            ],
            detector=loaded,
            correlating=loaded.correlating,
            tend=lambda start: _tend(config, start),
            key=key,
            observer=config.node.name,
            clock=now,
            idle=config.store.idle,
            retention=Retention(config.retention.days, config.retention.bytes),
            raised=lambda finding: tell(finding, quiet=quiet),
            reload=lambda: reloaded(reloader),
            watch=Watch(found, loaded.engine, now),
        )
        note(
            _("following {inputs} inputs with {rules} rules; Ctrl-C stops").format(
                inputs=len(config.inputs),
                rules=loaded.report.in_force,
            ),
            quiet=quiet,
        )
        try:
            runner.run(stop)
        finally:
            found.close()
    _farewell(runner.counters, quiet)


def _tend(config: "Settings", start: bool) -> None:
    from soc.run.respond import tend

    for drift in tend(config, start=start):
        note(f"{drift.claim.resource}: {drift.found}; {drift.done}")


def _farewell(counters: "Counters", quiet: bool) -> None:
    note(
        _(
            "stopped: {received} records received = {stored} stored + {duplicate} there already"
            " + {rejected} refused; {evaluated} judged, {alerts} alerts raised"
        ).format(
            received=counters.received,
            stored=counters.stored,
            duplicate=counters.duplicate,
            rejected=counters.rejected,
            evaluated=counters.evaluated,
            alerts=counters.alerts,
        ),
        quiet=quiet,
    )
