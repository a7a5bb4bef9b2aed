"""Configuration: `soc.toml` files, environment and flags become typed options with an origin.

Precedence: flags > SOC_SECTION__KEY > ./soc.toml > user's soc.toml > system's soc.toml > defaults.
Tables are merged key by key, everything else (lists too) is replaced whole. Sections are composed
by the caller: `load({"store": StoreOptions, ...})`; each type is an `Options` model (from
`soc.config.options`) or a list of one. Importing this package does not import pydantic.
"""

from soc.config.layers import FILE, SYSTEM, Flags, Sources, places
from soc.config.loading import Config, Row, load, read
from soc.config.secret import SecretRef

__all__ = [
    "FILE",
    "SYSTEM",
    "Config",
    "Flags",
    "Row",
    "SecretRef",
    "Sources",
    "load",
    "places",
    "read",
]
