"""Sections of a study's report."""
