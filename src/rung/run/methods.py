"""Which function runs each method; the settings of all of them stand in :mod:`rung.config`."""

from rung.config import MethodSettings
from rung.fit.method import Method
from rung.fit.offset import fit_offset
from rung.fit.readout import fit_readout

METHODS: dict[str, Method] = {
    "offset": fit_offset,
    "readout": fit_readout,
}
"""One line a method."""

FROZEN_BACKBONE = frozenset({"offset", "readout"})
"""Methods whose features are the base's, so that cached designs serve the fit and its predictions."""


def method_of(settings: MethodSettings) -> Method:
    """Return the function of the method that ``settings`` are for."""
    return METHODS[settings.name]
