"""`python -m soc` is the command `soc`."""

from soc.cli.main import main

main()
