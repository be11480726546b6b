"""A run: its folder, where it came from, and the stages that fill it."""
