"""Alerts: raised from findings once, decided by people, explained with their context."""
