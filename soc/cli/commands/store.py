"""Set the store up, see what it holds, drop what is old, save it, give out keys."""

import typer

from soc.registry import plugins

app = typer.Typer(no_args_is_help=True)
for _plugin in plugins("soc.cli.store").values():
    _module = _plugin.load()
    if hasattr(_module, "app"):
        app.add_typer(_module.app, name=_plugin.name)
    else:
        app.command(_plugin.name)(_module.command)
