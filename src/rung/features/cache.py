"""A content-addressed cache of designs."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DesignCache:
    """A folder of entries."""

    folder: Path
