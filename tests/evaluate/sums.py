"""Errors of structures that come all at once."""

from typing import Any

from rung.evaluate.errors import ErrorSums
from rung.results.metrics import SplitErrors


def split_errors(*arrays: Any, **labels: Any) -> SplitErrors:
    """Return the errors of one part; arguments as for :meth:`rung.evaluate.errors.ErrorSums.add`."""
    sums = ErrorSums()
    sums.add(*arrays, **labels)
    return sums.errors()
