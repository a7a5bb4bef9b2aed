"""Check and test Sigma and YARA rules: what loads, what not and why, what hits and misses."""

import typer

from soc.registry import plugins

app = typer.Typer(no_args_is_help=True)
for _plugin in plugins("soc.cli.rules").values():
    app.command(_plugin.name)(_plugin.load().command)
