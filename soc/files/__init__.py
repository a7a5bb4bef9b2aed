"""The store of carved and collected files: content by its SHA-256, names are data only."""

from soc.files.store import FileStore, Limits, Stored, Writer

__all__ = ["FileStore", "Limits", "Stored", "Writer"]
