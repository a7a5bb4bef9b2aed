"""Playbooks: from a decision to an effect, and back. See `docs/playbooks.md`."""
