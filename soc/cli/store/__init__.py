"""The commands under `soc store`: one file each, as in `soc/cli/commands`."""
