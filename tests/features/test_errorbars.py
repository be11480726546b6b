"""Error bars from designs: gradients read the posterior by name, and joint bars are plain linear algebra."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rung.data.structure import Structure
from rung.errors import ModelError
from rung.features.design import Design
from rung.features.errorbars import PosteriorErrors, energy_gradient, force_variance, joint_energies
from rung.features.passes import build_designs
from rung.model.draws import drawn_change
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential
from tests.pair_backbone import PairBackbone, pair_potential, pair_structures
from tests.test_checkpoint import some_posterior

ELEMENTS = (6, 8)


def potential() -> ReadoutPotential:
    return pair_potential(PairBackbone(), ("low", "high"))


def posterior(order: tuple[int, ...] = ELEMENTS) -> Posterior:
    """Return a posterior of ``high`` whose E0 stand in the given order: the same distribution in any order."""
    full = replace(some_posterior(potential()), unidentified=np.zeros((0, 0)))
    n_weights = len(full.parameters) - len(ELEMENTS)
    places = [*range(n_weights), *(n_weights + ELEMENTS.index(number) for number in order)]
    both = np.ix_(places, places)
    return replace(
        full,
        parameters=tuple(full.parameters[place] for place in places),
        mean=full.mean[places],
        covariance=full.covariance[both],
        unidentified=np.zeros((0, len(places))),
        model_covariance=full.model_covariance[both],
    )


def structures() -> list[Structure]:
    return pair_structures(PairBackbone())


def designs(*, forces: bool = False) -> list[Design]:
    backbone, readout = PairBackbone(), potential().surface("high").readout
    return build_designs(structures(), backbone, readout, forces=forces, fidelity="high")


def test_a_gradient_counts_atoms_where_the_posterior_names_their_element() -> None:
    design = designs()[0]
    assert design.composition.tolist() == [4.0, 4.0]
    changed = replace(design, composition=np.array([4.0, 3.0]))
    assert_array_equal(energy_gradient(changed, ELEMENTS, posterior((8, 6)))[-2:], [3.0, 4.0])
    assert_array_equal(energy_gradient(changed, ELEMENTS, posterior())[-2:], [4.0, 3.0])
    assert_array_equal(energy_gradient(changed, ELEMENTS, posterior())[:-2], design.energy)


def test_the_order_of_reference_energies_does_not_matter() -> None:
    one, other = (joint_energies(designs(), ELEMENTS, posterior(order)) for order in ((6, 8), (8, 6)))
    for kind in ("none", "total"):
        assert_allclose(one.covariance(kind), other.covariance(kind), rtol=1e-12)
    coefficients = [2.0, -1.0, -1.0, 0.0, 0.5, 0.0]
    for name in ("weights", "smooth", "rough"):
        values = [getattr(item.combination_variance(coefficients), name) for item in (one, other)]
        assert values[0] == pytest.approx(values[1], rel=1e-12)


def test_joint_bars_are_written_out_sums() -> None:
    joint, known = joint_energies(designs(), ELEMENTS, posterior()), posterior()
    gradients = np.array([np.concatenate([design.energy, design.composition]) for design in designs()])
    weights = gradients @ known.covariance @ gradients.T
    sizes = np.array([len(structure) for structure in structures()])
    assert_allclose(joint.covariance(), weights, rtol=1e-12)
    own = gradients @ known.model_covariance @ gradients.T + np.diag(sizes * 0.02**2)
    assert_allclose(joint.covariance("total"), weights + own, rtol=1e-12)
    variance = joint.combination_variance([1.0, -1.0, 0.0, 0.0, 0.0, 0.0])
    apart = gradients[0] - gradients[1]
    assert variance.weights == pytest.approx(apart @ known.covariance @ apart, rel=1e-12)
    assert variance.smooth == pytest.approx(apart @ known.model_covariance @ apart, rel=1e-9)
    assert variance.rough == pytest.approx((sizes[0] + sizes[1]) * 0.02**2, rel=1e-6)
    changes = joint.changes(3, seed=5)
    assert changes.shape == (3, 6)
    assert_allclose(changes[2], gradients @ drawn_change(known, 5, 2), rtol=1e-12)


def test_an_element_without_reference_energy_has_no_bar() -> None:
    only = posterior()
    kept = slice(0, len(only.parameters) - 1)
    without_oxygen = replace(
        only,
        parameters=only.parameters[kept],
        mean=only.mean[kept],
        covariance=only.covariance[kept, kept],
        unidentified=np.zeros((0, len(only.parameters) - 1)),
    )
    carbon = replace(designs()[0], composition=np.array([8.0, 0.0]))
    assert joint_energies([carbon], ELEMENTS, without_oxygen).covariance().shape == (1, 1)
    with pytest.raises(ModelError, match=r"\bO\b"):
        energy_gradient(designs()[0], ELEMENTS, without_oxygen)


def test_force_variances_are_the_diagonal_of_the_covariance() -> None:
    for design in designs(forces=True):
        n_weights = len(design.energy)
        covariance = design.forces @ posterior().covariance[:n_weights, :n_weights] @ design.forces.T
        expected = np.diag(covariance).reshape(-1, 3)
        assert_allclose(force_variance(design, posterior()), expected, rtol=1e-9, atol=1e-14)
    assert force_variance(designs()[0], posterior()).shape == (0, 3)


def test_bars_of_structures_are_those_of_their_designs() -> None:
    errors = PosteriorErrors(potential(), "high", posterior())
    expected = joint_energies(designs(), ELEMENTS, posterior())
    assert_array_equal(errors.energies(structures()).covariance(), expected.covariance())
    structure, design = structures()[0], designs(forces=True)[0]
    weights = errors.forces_stderr(structure, model_error=False)
    assert_allclose(weights**2, force_variance(design, posterior()), rtol=1e-12)
    smooth = replace(posterior(), covariance=posterior().model_covariance)
    assert_allclose(
        errors.forces_stderr(structure) ** 2, weights**2 + force_variance(design, smooth) + 0.1**2, rtol=1e-12
    )
    assert errors.atom_energies_stderr(structure).shape == (8,)


def test_an_atoms_bar_is_that_of_its_basis() -> None:
    (atom,) = [structure for structure in structures() if len(structure) == 1]
    errors = PosteriorErrors(potential(), "high", posterior())
    (design,) = build_designs([atom], PairBackbone(), errors.surface.readout, forces=False, fidelity="high")
    n_weights = len(design.energy)
    variance = design.energy @ posterior().covariance[:n_weights, :n_weights] @ design.energy
    assert errors.atom_energies_stderr(atom)[0] == pytest.approx(np.sqrt(variance), rel=1e-10)


def test_a_posterior_of_another_readout_is_refused() -> None:
    renamed = replace(posterior(), parameters=("other", *posterior().parameters[1:]))
    with pytest.raises(ModelError, match="not that of the readout of 'high'"):
        PosteriorErrors(potential(), "high", renamed)
