"""``run.json`` and ``band.json``: whose work a folder of dynamics or of a band holds."""

from rung.results.base import Number, Result


class Marker(Result):
    """Whose work a folder holds."""

    key: str
    """A hash of all that decides the work."""
    start_energy: Number | None = None
    """Of the start structure, eV; absent where it is not compared."""
