"""The engine that runs: equal to the reference evaluator, and fast."""

from detectors.sigma.engine.engine import Engine

__all__ = ["Engine"]
