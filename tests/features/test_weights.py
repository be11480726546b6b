"""Rows of derivatives that no machine holds are refused before the first is computed."""

import pytest

from rung.errors import ConfigError
from rung.features.weights import require_memory


def test_rows_that_do_not_fit_are_refused_with_what_to_do():
    require_memory(400, 100_000)
    with pytest.raises(ConfigError, match=r"1000000 labels by 100000000 weights take 800000 GB .* products"):
        require_memory(1_000_000, 100_000_000)
