"""Labelled structures: keys, geometries, batches, readers, splits."""
