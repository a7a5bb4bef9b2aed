"""`[playbooks]`: what response may do on this machine."""

from typing import Annotated, Literal

from pydantic import Field

from soc.config.options import Options


class PlaybooksOptions(Options):
    """`[playbooks]`: what response may do on this machine.

    `packet_filter`: `nft` is the real one, `simulated` filters nothing and remembers what it was
    told. `never_touch` adds hosts and networks to what is found by itself (own addresses,
    gateways, name servers, the store). `budget` is changes per hour.
    """

    packet_filter: Literal["nft", "simulated"] = "nft"
    never_touch: tuple[str, ...] = ()
    never_touch_ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = (22,)
    never_touch_accounts: tuple[str, ...] = ()
    budget: Annotated[int, Field(ge=0, le=10000)] = 20


OPTIONS = PlaybooksOptions
