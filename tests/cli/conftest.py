"""The small world of the runs serves the command line too."""

from tests.run.conftest import finished, original, world

__all__ = ["finished", "original", "world"]
