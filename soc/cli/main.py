"""The command `soc`: finds its commands, runs one, turns every failure into an exit code.

A command is one file, `soc/cli/commands/NAME.py`:

- Its docstring's first line is what `soc --help` shows (translated when shown; listing imports
  nothing). `FLOW` below gives it its place in the listing; without one it stands at the end.
- It defines either `def command(...) -> None`, a function with typer parameters, whose docstring
  is its help, or `app = typer.Typer(no_args_is_help=True)`, a group of such functions.
- Every docstring of a command ends in an example that starts with `soc `:

      \b
      Example: soc hunt 'user.name:root' --since 2h

- Groups with many commands (`soc collect`, `soc rules`) have a folder `soc/cli/NAME` of such files.
- Only typer, `soc.i18n`, `soc.errors`, `soc.text` and `soc.cli.*` are imported at its top, the
  rest inside the functions. Options that several commands share are in `soc.cli.common`;
  data goes out through `soc.cli.output.results`, notes through `soc.cli.terminal.note`.
- It raises SocError, or `typer.Exit(Exit.FINDINGS)`; it prints no error and catches no bug.
"""

import gc
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from soc.cli.failures import report, usage
from soc.cli.terminal import Notes
from soc.errors import Exit, UsageError
from soc.i18n import _
from soc.registry import Plugin, plugins

KIND: Final = "soc.cli.commands"
FLOW: Final = {
    "Start": ("init", "doctor", "demo", "run"),
    "Collect": ("collect", "packets", "nodes"),
    "Detect": ("detect", "scan", "worker", "rules"),
    "Triage": ("hunt", "alerts", "timeline", "cases", "handover"),
    "Respond": ("playbook", "contain"),
    "Keep": ("config", "store", "report", "audit", "web"),
}
"""The commands in the order in which data flows, whether they exist yet or not."""
YOUNG: Final = 10_000
"""New objects before Python searches for cycles among them: its 700 make it search, over and over,
the many objects that rules are, for nothing (a sixth of the time of judging some EVTX files)."""


def titles() -> dict[str, str]:
    """Return the titles of the listing's groups in the user's language."""
    return {
        "Start": _("Start"),
        "Collect": _("Collect"),
        "Detect": _("Detect"),
        "Triage": _("Triage"),
        "Respond": _("Respond"),
        "Keep": _("Keep"),
        "More": _("More"),
    }


def listing() -> dict[str, list[Plugin]]:
    """Return the commands there are by group, in flow order."""
    found = dict(plugins(KIND))
    groups = {
        title: [found.pop(name) for name in names if name in found] for title, names in FLOW.items()
    }
    groups["More"] = list(found.values())
    return {title: members for title, members in groups.items() if members}


def build(plugin: Plugin) -> Any:  # noqa: ANN401 - typer keeps its command classes to itself
    """Return the command that a plugin defines; raise ContentError when it does not load."""
    module = plugin.load()
    app = getattr(module, "app", None)
    if app is not None:
        app.rich_markup_mode = None
        command: Any = get_group(app)
        command.help = command.help or plugin.summary()
    else:
        app = typer.Typer(rich_markup_mode=None, add_completion=False)
        app.command(plugin.name)(module.command)
        command = get_command(app)
    command.name = plugin.name
    _translate(command)
    return command


def _translate(command: Any) -> None:  # noqa: ANN401
    command.help = _(command.help) if command.help else ""
    for child in getattr(command, "commands", {}).values():
        _translate(child)


class Commands(TyperGroup):
    """The commands of `soc`, each imported when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401
        """Return the names in flow order."""
        return [plugin.name for group in listing().values() for plugin in group]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401
        """Return the command of that name, imported now."""
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        plugin = plugins(KIND).get(cmd_name)
        return None if plugin is None else build(plugin)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401
        """Return the command that the arguments begin with; raise UsageError naming near ones."""
        if args[0] not in plugins(KIND) and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], plugins(KIND), n=1)
            hint = f"soc {near[0]}" if near else "soc --help"
            raise UsageError(_("there is no command {name!r}").format(name=args[0]), hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """Write the listing, a section for each stage of the flow."""
        names = titles()
        for title, group in listing().items():
            with formatter.section(names[title]):
                formatter.write_dl([(plugin.name, _(plugin.summary())) for plugin in group])

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:  # noqa: ANN401
        """Return the completions of a word without importing any command."""
        self.commands = {
            plugin.name: TyperCommand(plugin.name, help=_(plugin.summary()))
            for group in listing().values()
            for plugin in group
        }
        return super().shell_complete(ctx, incomplete)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        """Run the command; any failure becomes a message and an exit code."""
        try:
            super().invoke(ctx)
            sys.stdout.flush()
        except (typer.Exit, typer.Abort, typer.TyperException):
            raise
        except (Exception, KeyboardInterrupt) as error:
            raise typer.Exit(report(error)) from error

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Run a command line; return the exit code, or leave with it when standing alone."""
        try:
            code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except typer.TyperException as error:
            code = usage(error)
        except typer.Abort:
            code = report(KeyboardInterrupt())
        except Exception as error:  # such as help that a full disk does not take
            code = report(error)
        code = int(code or Exit.DONE)
        return sys.exit(code) if standalone_mode else code


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"soc {version('metrosoc')}")
        raise typer.Exit


app = typer.Typer(cls=Commands, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help=_(
        "A city's security operations toolkit: logs in, alerts out, a person decides.\n\n"
        "Try it: soc demo"
    ),
)
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help=_("Print the version.")),
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `soc` and leave the process with its exit code."""
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(
                encoding=None if stream.isatty() else "utf-8", errors="backslashreplace"
            )
    logging.basicConfig(handlers=[Notes()], level=logging.WARNING)
    gc.set_threshold(YOUNG)
    try:
        get_command(app).main(args=arguments, prog_name="soc")
    finally:
        _settle()


def _open_streams() -> None:
    """Open closed standard streams on nothing, or the first file opened would be taken for one."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))


def _settle() -> None:
    """Flush the output; a reader that has gone, or a full disk, was told or is no news by now."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
