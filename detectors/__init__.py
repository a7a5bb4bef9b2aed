"""Everything that turns events into findings. Detectors are pure: events in, findings out."""
