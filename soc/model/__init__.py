"""The vocabulary: events, findings, alerts and the fields they may have. No I/O."""
