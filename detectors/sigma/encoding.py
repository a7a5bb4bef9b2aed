"""Modifiers that encode a value: base64, base64offset, UTF-16."""

from base64 import b64encode
from dataclasses import replace
from itertools import product
from typing import Final

from detectors.sigma.patterns import Text
from detectors.sigma.text import DASHES, Wild, joined

MAX_EXPANSION: Final = 5**4
_BOM: Final = "\xff\xfe"


class ModifierError(ValueError):
    """A modifier does not apply to this value; `hint` is what to do."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


def utf16(text: Text, codec: str, *, mark: bool = False) -> Text:
    """Return the text in UTF-16 as bytes, a character for each; wildcards stay what they are."""
    if text.binary:
        raise ModifierError("the value is encoded already", "use one UTF-16 modifier")
    if Wild.DASH in text.tokens:
        raise ModifierError("windash before an encoding needs base64", "put windash alone")
    tokens = (
        t.encode(codec, "surrogatepass").decode("latin-1") if isinstance(t, str) else t
        for t in text.tokens
    )
    return replace(text, tokens=joined((_BOM if mark else "", *tokens)), binary=True)


def plain_bytes(text: Text) -> list[bytes]:
    """Return the bytes of a value without wildcards: one, or one for each form of its dashes."""
    if Wild.ANY in text.tokens or Wild.ONE in text.tokens:
        raise ModifierError(
            "a value with wildcards cannot be encoded",
            r"escape them: \* and \?, contains comes last",
        )
    choices = [DASHES if token is Wild.DASH else [token] for token in text.tokens]
    if len(DASHES) ** text.tokens.count(Wild.DASH) > MAX_EXPANSION:
        raise ModifierError(f"windash makes more than {MAX_EXPANSION} forms to encode")
    codec = "latin-1" if text.binary else "utf-8"
    return ["".join(map(str, form)).encode(codec, "surrogatepass") for form in product(*choices)]


def base64(text: Text) -> list[Text]:
    """Return the value in Base64, compared with case."""
    return [_encoded(text, b64encode(data).decode()) for data in plain_bytes(text)]


def base64offset(text: Text) -> list[Text]:
    """Return what is constant of the value's Base64 at each of the three offsets."""
    return [_encoded(text, part) for data in plain_bytes(text) for part in _offsets(data)]


def _offsets(data: bytes) -> list[str]:
    if len(data) < 2:
        raise ModifierError("base64offset needs at least 2 bytes: shorter ones match everything")
    parts = []
    for offset in range(3):
        coded = b64encode(b"\0" * offset + data).decode()
        # Characters that share bits with a neighbour differ from place to place: cut them off.
        start = (0, 2, 3)[offset]
        end = len(coded) - (0, 3, 2)[(len(data) + offset) % 3]
        parts.append(coded[start:end])
    return parts


def _encoded(text: Text, coded: str) -> Text:
    return replace(text, tokens=(coded,) if coded else (), cased=True, binary=False)
