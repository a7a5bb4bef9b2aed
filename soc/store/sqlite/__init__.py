"""The embedded store: SQLite files in a folder, nothing to install, nothing to run."""

from soc.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
