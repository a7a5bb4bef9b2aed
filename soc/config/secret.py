"""Secrets by reference only: the configuration says where a secret lies, never what it is."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from soc.errors import ContentError

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

MAX_BYTES: Final = 1 << 16
FORMS: Final = "file:/path, env:NAME, credential:NAME or keyring:service/name"
_NAMES: Final = {
    "file": re.compile(r"/[^\0]*"),
    "env": re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
    "credential": re.compile(r"[A-Za-z0-9_.-]+"),
    "keyring": re.compile(r"[^/]+/.+"),
}


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret lies. Neither str() nor repr() nor any dump holds the secret itself.

    `credential:NAME` is a file in systemd's $CREDENTIALS_DIRECTORY (LoadCredential=).
    """

    scheme: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "SecretRef":
        """Return the reference; raise ValueError, which does not repeat the text, for others."""
        scheme, colon, name = text.partition(":")
        form = _NAMES.get(scheme)
        if not colon or form is None:
            raise ValueError(f"a secret is given by reference ({FORMS}), never literally")
        if not form.fullmatch(name):
            raise ValueError(f"the reference {scheme}: is not well formed; write {FORMS}")
        return cls(scheme, name)

    def __str__(self) -> str:
        """Return the reference as it is written."""
        return f"{self.scheme}:{self.name}"

    def resolve(self, environ: Mapping[str, str] | None = None) -> str:
        """Read the secret now; raise ContentError where it cannot be had."""
        environ = os.environ if environ is None else environ
        match self.scheme:
            case "env":
                secret = environ.get(self.name, "")
            case "file":
                secret = self._file(Path(self.name))
            case "credential":
                folder = environ.get("CREDENTIALS_DIRECTORY")
                if not folder:
                    raise self._missing(
                        "CREDENTIALS_DIRECTORY is not set", "LoadCredential= in the unit"
                    )
                secret = self._file(Path(folder) / self.name)
            case _:
                secret = self._keyring()
        if not secret:
            raise self._missing("it is empty or not set", f"check {self}")
        return secret

    def _file(self, path: Path) -> str:
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                raw = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise self._missing(str(error.strerror), f"ls -l {path}") from None
        if mode & 0o027:
            raise self._missing("others may read or change the file", f"chmod 600 {path}")
        try:
            return raw[:MAX_BYTES].decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise self._missing("the file is not UTF-8 text", f"file {path}") from None

    def _keyring(self) -> str:
        if find_spec("keyring") is None:
            raise self._missing("the package keyring is not installed", "pip install keyring")
        service, _slash, name = self.name.partition("/")
        try:
            return import_module("keyring").get_password(service, name) or ""
        except Exception as error:  # backends raise what they like
            raise self._missing(type(error).__name__, f"keyring get {service} {name}") from None

    def _missing(self, why: str, hint: str) -> ContentError:
        return ContentError(f"the secret cannot be read: {why}", where=str(self), hint=hint)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: "GetCoreSchemaHandler"
    ) -> "CoreSchema":
        """Let pydantic read and write the reference as text."""
        from pydantic_core import core_schema

        written = core_schema.no_info_after_validator_function(cls.parse, core_schema.str_schema())
        made = core_schema.is_instance_schema(cls)
        return core_schema.json_or_python_schema(
            json_schema=written,
            python_schema=core_schema.union_schema([made, written]),
            serialization=core_schema.to_string_ser_schema(),
        )
