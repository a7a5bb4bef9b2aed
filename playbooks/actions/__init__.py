"""Actions: one verb, one file (see `playbooks.effect`)."""
