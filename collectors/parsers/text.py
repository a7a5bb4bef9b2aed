"""Any text: a line that nobody knows is still an event."""

from collections.abc import Iterable

from collectors.frame import Context
from collectors.parsing import Fields

DATASET = "text"
FIELDS = ("message",)
EXAMPLE = "the lift on floor 3 is out of order"


def parse(record: str, context: Context) -> Iterable[Fields]:
    """Return the text as `message`."""
    return ({"message": record},)
