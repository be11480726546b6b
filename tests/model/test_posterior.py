"""A posterior names its parameters; reference energies are found by name."""

import numpy as np

from rung.model.posterior import Posterior


def named(*parameters: str) -> Posterior:
    size = len(parameters)
    return Posterior(parameters, np.zeros(size), np.eye(size), np.zeros((0, size)), 0.1, 0.1)


def test_elements_stand_in_the_order_of_their_parameters() -> None:
    assert named("r.0", "r.1", "E0[42]", "E0[1]", "E0[16]").elements == (42, 1, 16)


def test_only_whole_names_of_reference_energies_count() -> None:
    assert named("E0[x]", "xE0[1]", "E0[1]x", "E0[]").elements == ()
    assert named().elements == ()


def test_the_model_covariance_may_be_absent() -> None:
    assert named("r.0").model_covariance is None
