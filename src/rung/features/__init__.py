"""Designs of a frozen backbone: made in batches, kept in a cache."""
