"""The only place that wires the stages together: collector, detector, alerts, all in one."""
