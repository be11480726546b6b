"""Questions are linear in energies and forces, and what no label identifies is asked for first."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rung.backends.errors import errors_of
from rung.data.structure import Structure
from rung.features.pulls import Pull
from rung.fit.methods.readout import ReadoutSettings, fit_readout
from rung.fit.methods.tangent import TangentSettings, fit_tangent
from rung.model.tangent import TangentPosterior
from rung.select.greedy import Offer, greedy
from rung.select.questions import (
    asked,
    difference_asked,
    energies_asked,
    forces_asked,
    sum_asked,
)
from tests.fit.lifts import lift_of
from tests.fit.methods.test_tangent import CONTEXT, frames
from tests.geometries import rattled


@pytest.fixture(scope="module", params=["readout", "tangent"])
def bars(request, tiny_potential, molecules):
    """Error bars of a fit of waters and methanes alone: nothing says what an atom of carbon adds but methane."""
    lift = lift_of(frames(molecules[:2], 8, 8), tiny_potential)
    fit = (
        fit_readout(lift, ReadoutSettings(), CONTEXT)
        if request.param == "readout"
        else fit_tangent(lift, TangentSettings(), CONTEXT)
    )
    return errors_of(fit.potential, "high", fit.posterior)


def candidates(molecules, count: int = 6) -> list[Structure]:
    return [Structure(rattled(molecules[k % 3].atoms, 50 + k, 0.1), f"candidate-{k}", {}) for k in range(count)]


def test_bars_are_those_of_the_fit(bars, molecules) -> None:
    structures = candidates(molecules, 2)
    first, second = structures
    questions = [
        difference_asked("difference", first, second),
        sum_asked("sum", structures, np.array([2.0, -1.0])),
        energies_asked(structures),
    ]
    found = asked(bars, structures, questions)
    told = found.bars(found.knowledge.variance)
    joint = bars.energies(structures)
    assert_allclose(told["difference"], np.sqrt(joint.combination_variance([1.0, -1.0]).total), rtol=1e-6)
    assert_allclose(told["sum"], np.sqrt(joint.combination_variance([2.0, -1.0]).total), rtol=1e-6)
    alone = [
        joint.combination_variance(row).total / len(one) ** 2 for row, one in zip(np.eye(2), structures, strict=True)
    ]
    assert_allclose(told["energies"], np.sqrt(np.mean(alone)), rtol=1e-6)


def test_what_is_known_by_itself_counts_nothing(bars, molecules) -> None:
    structures = candidates(molecules, 2)
    questions = [difference_asked("nothing", structures[0], structures[0]), energies_asked(structures)]
    found = asked(bars, structures, questions)
    assert found.settled == ("nothing",)
    alone = asked(bars, structures, questions[1:])
    assert alone.settled == ()
    assert_allclose(found.knowledge.weights, [0.0, *alone.knowledge.weights])


def test_forces_along_an_axis_have_the_bars_of_the_component(bars, molecules) -> None:
    structure = candidates(molecules, 1)[0]
    units = np.eye(3 * len(structure)).reshape(-1, len(structure), 3)
    joint = bars.joint([structure], [Pull(structure, unit) for unit in units[:4]])
    covariance = joint.finite_covariance(0.0)[1:, 1:]
    wanted = bars.forces_stderr(structure).ravel()[:4] ** 2
    posterior = bars.posterior.coordinates if isinstance(bars.posterior, TangentPosterior) else bars.posterior
    rough = posterior.force_error**2
    assert rough > 0
    assert_allclose(np.diag(covariance) + rough, wanted, rtol=1e-6)
    question = forces_asked([structure], directions=400)
    told = asked(bars, [structure], [question])
    mean = np.mean(bars.forces_stderr(structure) ** 2) - rough
    assert_allclose(told.bars(told.knowledge.variance)["forces"] ** 2, mean, rtol=0.2)


def test_what_no_label_identifies_is_chosen_first(bars, molecules) -> None:
    """Carbon dioxide has an unknown share of reference energies; the barrier-like question does not see it."""
    pool = candidates(molecules)
    unknown = {k for k, one in enumerate(pool) if one.atoms.get_chemical_formula() == "CO2"}
    waters = [one for one in pool if one.atoms.get_chemical_formula() == "H2O"]
    questions = [energies_asked(pool), difference_asked("difference", *waters[:2], 0.1)]
    found = asked(bars, pool, questions)
    assert np.isfinite(found.knowledge.candidates).all()
    first = next(greedy(found.knowledge, Offer(np.array([float(len(one)) for one in pool]), (0.03,)), 4))
    assert {label.candidate for label in first} <= unknown
    after = found.bars(found.knowledge.after(first).variance)
    before = found.bars(found.knowledge.variance)
    assert before["energies"] > 1.0 > after["energies"]


def test_structures_are_told_by_what_is_asked_and_not_by_their_names(bars, molecules) -> None:
    pool = candidates(molecules, 4)
    renamed = [replace(one, structure_id="x") for one in pool]
    first, second = (asked(bars, some, [energies_asked(some)]).knowledge for some in (pool, renamed))
    assert_allclose(first.candidates, second.candidates)
