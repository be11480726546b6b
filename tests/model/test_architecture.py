"""What architectures share."""

import pytest

from rung.errors import ConfigError
from rung.model.architecture import Architecture


def test_a_cutoff_is_positive_and_a_kind_is_named() -> None:
    assert Architecture.read({"kind": "mine", "cutoff": 4.0}, "here").cutoff == 4.0
    with pytest.raises(ConfigError, match="cutoff"):
        Architecture.read({"kind": "mine", "cutoff": 0.0}, "here")
    with pytest.raises(ConfigError, match="kind"):
        Architecture.read({"cutoff": 4.0}, "here")
