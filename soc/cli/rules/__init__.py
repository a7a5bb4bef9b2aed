"""The commands under `soc rules`: one file each, as in `soc/cli/commands`."""
