"""Everything that turns a source into events: input -> frame -> parser -> event."""
