"""Commands of `soc collect`, one module each, beside those of `soc.cli.commands.collect`."""
