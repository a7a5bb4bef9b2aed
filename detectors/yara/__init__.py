"""YARA over files: scanned in a child process, told as events, judged like any other event."""
