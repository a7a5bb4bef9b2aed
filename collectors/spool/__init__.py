"""The spool: what arrived lies on the disk before anybody is told that it was received."""
