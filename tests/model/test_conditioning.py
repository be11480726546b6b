"""Every way in which fidelities may differ has a name, and the tests' models cover each."""

from typing import get_args

from rung.model.conditioning import Conditioning
from tests.several_fidelities import CONDITIONINGS, several

SMALL = (("layers", 1), ("hidden", "4x0e"), ("max_ell", 1))


def test_every_name_makes_a_model_whose_features_differ_only_where_the_name_asks_for_it() -> None:
    assert set(get_args(Conditioning)) == set(CONDITIONINGS)
    conditioned = {name: several(name, SMALL).backbone.conditioned for name in CONDITIONINGS}
    assert conditioned == {"shared": False, "readouts": False, "embedding": True, "all": True}
