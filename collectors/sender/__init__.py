"""The sender: what the spool holds becomes events in the store, each once, none lost."""
