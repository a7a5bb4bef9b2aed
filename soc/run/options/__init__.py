"""Sections of `soc.toml` that parts declare themselves: one file, one section."""
