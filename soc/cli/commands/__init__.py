"""One file, one command: `soc.cli.main` says what such a file defines."""
