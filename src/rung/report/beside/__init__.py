"""Runs side by side on one page: what they hold in common, what differs, and the sections that show it."""
