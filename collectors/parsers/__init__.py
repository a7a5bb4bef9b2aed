"""Parsers: what a record means, one file per kind of record (see `collectors.parsing`)."""
