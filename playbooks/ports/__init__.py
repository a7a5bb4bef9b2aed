"""Capabilities: what an action may touch, as a view that only reads and a port that changes."""
