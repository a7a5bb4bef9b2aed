"""Carving: the bytes of a file are digested and, if there is a store, kept."""

from dataclasses import dataclass
from hashlib import md5, sha1, sha256
from typing import Final

from collectors.packets.talk import Body, Fields
from soc.errors import StoreError
from soc.files import FileStore, Limits, Writer

HEAD: Final = 512
"""Bytes that tell a file's type."""

_MAGICS: Final = (
    (b"MZ", "application/vnd.microsoft.portable-executable"),
    (b"\x7fELF", "application/x-elf"),
    (b"PK\x03\x04", "application/zip"),
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"\x1f\x8b", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\0", "application/x-xz"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"MSCF", "application/vnd.ms-cab-compressed"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"L\0\0\0\x01\x14\x02\0", "application/x-ms-shortcut"),
    (b"{\\rtf", "application/rtf"),
    (b"\xca\xfe\xba\xbe", "application/java-vm"),
    (b"SQLite format 3\0", "application/vnd.sqlite3"),
    (b"#!", "text/x-shellscript"),
    (b"<?php", "text/x-php"),
    (b"<?xml", "text/xml"),
)
_HTML: Final = (b"<!doctype html", b"<html", b"<head", b"<script")


def mime_type(head: bytes) -> str | None:
    """Return a file's media type by its first bytes, None when they do not tell."""
    for magic, kind in _MAGICS:
        if head.startswith(magic):
            return kind
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:16].lower()
    return "text/html" if start.startswith(_HTML) else None


@dataclass(slots=True)
class Carver:
    """Makes the takers of files; at most `open_files` of them keep content at the same time.

    What is beyond that, or beyond the store's limits, is digested and not kept. Counts what
    happened; `failed` are files that the store could not write.
    """

    store: FileStore | None = None
    open_files: int = 256
    files: int = 0
    stored: int = 0
    failed: int = 0
    opened: int = 0

    def __call__(self) -> Body:
        """Return what takes the next file."""
        self.files += 1
        if self.store is None or self.opened >= self.open_files or self.store.full:
            return _Digest(self, None)
        self.opened += 1
        return _Digest(self, self.store.open())


class _Digest:
    def __init__(self, carver: Carver, writer: Writer | None) -> None:
        self._carver = carver
        self._writer = writer
        self._kept = writer is not None
        self._limit = (carver.store.limits if carver.store else Limits()).size
        self._sums = (md5(usedforsecurity=False), sha1(usedforsecurity=False), sha256())
        self._size = 0
        self._head = b""

    def write(self, data: bytes) -> bool:
        taken = data[: self._limit - self._size]
        if len(self._head) < HEAD:
            self._head += taken[: HEAD - len(self._head)]
        for digest in self._sums:
            digest.update(taken)
        self._size += len(taken)
        if self._writer is not None:
            try:
                self._writer.write(taken)
            except StoreError:
                self._give_up()
        return len(taken) == len(data)

    def close(self, *, whole: bool) -> Fields:
        fields: Fields = {"file.size": self._size}
        if kind := mime_type(self._head):
            fields["file.mime_type"] = kind
        if whole:  # the digest of a part would name a file that does not exist
            for name, digest in zip(("md5", "sha1", "sha256"), self._sums, strict=True):
                fields[f"file.hash.{name}"] = digest.hexdigest()
        if self._writer is not None:
            try:
                stored = self._writer.commit()
            except StoreError:
                self._give_up()
            else:
                if stored is not None:
                    self._carver.stored += 1
                    fields["soc.file.stored"] = stored.sha256
        if self._kept:
            self._carver.opened -= 1
            self._kept = False
        return fields

    def _give_up(self) -> None:
        """Go on without the store: a full disk costs the file, not the event."""
        self._carver.failed += 1
        self._writer = None
