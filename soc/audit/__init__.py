"""The hash chain behind every record that must not be changed afterwards. No I/O."""
