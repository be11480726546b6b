"""One file a method: its settings and its function."""
