"""Reference energies alone are what a fit gives whose weights cannot move, also from structures that come in parts."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rung.errors import FitError
from rung.fidelity import Fidelity
from rung.fit.lift import Base
from rung.fit.linear.closed_form import quadratic_solution
from rung.fit.linear.problem import Problem
from rung.fit.linear.terms import Energies, WeightPrior, assemble
from rung.fit.methods.offset import OffsetSettings, fit_offset, offset_to
from rung.run.predictor import Predictor
from tests.fit.lifts import lift_of
from tests.fit.pair_world import CONTEXT, FIDELITIES, geometries, labelled, pair_base, truth


def test_the_posterior_is_that_of_a_fit_whose_weights_cannot_move():
    base = pair_base()
    frames = labelled(geometries(12), base, truth(base), 12, 0.01)
    frames = [*frames, *frames[:4]]
    result = fit_offset(lift_of(frames, base), OffsetSettings(), CONTEXT)
    lifted = Base(base, "low")
    designs = tuple(lifted.energy_designs(frames, None))
    problem = Problem(tuple(frames), designs, lifted.surface.readout, lifted.surface, (6, 8), FIDELITIES["high"])
    held = quadratic_solution(assemble((Energies(), WeightPrior(alpha=1e-9)), problem))
    size = len(lifted.surface.readout.weights)
    assert result.posterior is not None and held.hypers is not None
    assert_allclose(result.posterior.mean[size:], held.gaussian.mean[size:], rtol=1e-6)
    assert_allclose(result.posterior.covariance[size:, size:], held.gaussian.covariance[size:, size:], rtol=1e-4)
    assert not result.posterior.mean[:size].any() and not result.posterior.covariance[:size].any()
    assert result.diagnostics["log_marginal"] == pytest.approx(held.hypers.log_marginal, abs=1e-4)
    assert result.diagnostics["model_error"] == pytest.approx(held.values["model_error"], rel=1e-4)


def test_parts_give_the_potential_of_all():
    base = pair_base()
    frames = labelled(geometries(12), base, truth(base), 9, 0.01)
    whole = fit_offset(lift_of(frames, base), OffsetSettings(), CONTEXT).potential.surface("high")
    parts = (frames[start : start + 5] for start in range(0, 12, 5))
    found = offset_to(Base(base, "low"), parts, FIDELITIES["high"]).surface("high")
    assert found.readout is base.surface("low").readout
    for element, energy in whole.reference.energies.items():
        assert found.reference.energies[element] == pytest.approx(energy, abs=1e-9)
    with pytest.raises(FitError, match="'high'"):
        offset_to(Base(base, "low"), [geometries(3)], FIDELITIES["high"])
    assert np.isfinite(list(found.reference.energies.values())).all()


def test_an_error_that_all_labels_share_moves_reference_energies_alone():
    """Its response had no weights, so that no error bar could be computed and no file be read again."""
    base = pair_base()
    frames = labelled(geometries(12), base, truth(base), 12, 0.01)
    lift = lift_of(frames, base, fidelities=["low", Fidelity("high", energy_shared_stderr=0.1)])
    result = fit_offset(lift, OffsetSettings(), CONTEXT)
    assert result.posterior is not None and result.posterior.shared is not None
    size = len(result.posterior.mean) - 2
    assert not result.posterior.shared[:size].any()
    atoms = np.array([[(frame.atoms.numbers == number).sum() for number in (6, 8)] for frame in frames])
    assert_allclose(atoms @ result.posterior.shared[size:], 0.1, rtol=1e-6)
    found = Predictor(base).predict(result.potential, result.posterior, frames, "high", "high", forces=False)
    assert np.isfinite(found.energy_stderr).all()


def test_a_geometry_that_is_labelled_twice_says_no_more_of_the_model_s_own_error():
    base = pair_base()
    (first,) = labelled(geometries(1), base, truth(base), 1, 0.02)
    label = first.labels["high"]
    again = replace(first, structure_id="again", labels={"high": replace(label, energy=label.energy + 0.01)})
    sizes = []
    for frames in ([first], [first, again]):
        posterior = fit_offset(lift_of(frames, base), OffsetSettings(), CONTEXT).posterior
        assert posterior is not None
        sizes.append(posterior.model_error)
    assert sizes[1] == pytest.approx(sizes[0], rel=0.05)
