"""The ASE calculator: the potential's own results, and error bars that are linear algebra of the posterior."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.optimize import BFGS

import rung
from rung import RungCalculator
from rung.backends.mace import wrap
from rung.checkpoint import Checkpoint, save
from rung.data.batch import collate
from rung.data.structure import Structure
from rung.errors import ConfigError, ModelError
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential, Surface
from tests.geometries import cell_structures, molecule_structures, rattled
from tests.mace_models import tiny_mace
from tests.pair_backbone import PairBackbone, pair_potential, pair_structures
from tests.test_checkpoint import some_posterior, two_fidelities


@pytest.fixture(scope="module")
def lifted() -> Checkpoint:
    """A MACE with ``low`` and ``high``, and a posterior of ``high`` in which the last E0 is not identified."""
    potential = two_fidelities()
    return Checkpoint(potential, some_posterior(potential), {"target": "high"})


@pytest.fixture
def calculator(lifted: Checkpoint) -> RungCalculator:
    return RungCalculator(lifted, fidelity="high")


WATER, METHANE, CARBON_DIOXIDE = (structure.atoms for structure in molecule_structures()[:3])


@pytest.mark.parametrize("fidelity", ["low", "high"])
def test_results_are_the_potentials(lifted: Checkpoint, fidelity: str) -> None:
    calculator = RungCalculator(lifted, fidelity=fidelity)
    for structure in molecule_structures() + cell_structures():
        atoms = structure.atoms.copy()
        atoms.calc = calculator
        batch = collate([structure], [fidelity], lifted.potential.cutoff, names=lifted.potential.fidelities)
        wanted = lifted.potential.predict(batch, stress=True)
        assert atoms.get_potential_energy() == pytest.approx(float(wanted.energy[0]), abs=1e-12)
        assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
        np.testing.assert_allclose(atoms.get_forces(), wanted.forces, rtol=0, atol=1e-12)
        np.testing.assert_allclose(atoms.get_potential_energies(), wanted.atom_energies, rtol=0, atol=1e-12)
        assert atoms.get_potential_energies().sum() == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
        if atoms.pbc.any():
            np.testing.assert_allclose(atoms.get_stress(), wanted.stress[0], rtol=0, atol=1e-12)
        else:
            with pytest.raises(PropertyNotImplementedError):
                atoms.get_stress()


def test_one_pass_serves_all_properties(calculator: RungCalculator, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    real = ReadoutPotential.predict
    monkeypatch.setattr(ReadoutPotential, "predict", lambda *args, **kw: passes.append(1) or real(*args, **kw))
    atoms = cell_structures()[0].atoms
    atoms.calc = calculator
    atoms.get_stress()
    atoms.get_forces()
    atoms.get_potential_energy()
    assert len(passes) == 1
    atoms.positions[0, 0] += 0.01
    atoms.get_forces()
    assert len(passes) == 2


def test_fidelity_has_no_default_and_unknown_ones_raise(lifted: Checkpoint) -> None:
    with pytest.raises(ConfigError, match="Name a fidelity: there is high, low"):
        RungCalculator(lifted)
    with pytest.raises(ConfigError, match=r"'hihg'; there is: high, low\. Did you mean 'high'"):
        RungCalculator(lifted, fidelity="hihg")


def test_opens_checkpoints_and_models(lifted: Checkpoint, tmp_path: Path, testbed_base_path: Path) -> None:
    path = tmp_path / "model.rung"
    save(path, lifted.potential, posterior=lifted.posterior, metadata=lifted.metadata)
    fresh = RungCalculator(str(path), fidelity="high")
    known = RungCalculator(lifted, fidelity="high")
    assert fresh.get_energy_stderr(WATER, model_error=False) == pytest.approx(
        known.get_energy_stderr(WATER, model_error=False), rel=1e-10
    )
    testbed = RungCalculator(testbed_base_path, fidelity="pbe", dtype="float64")
    assert testbed.potential.dtype == torch.float64
    with pytest.raises(ModelError, match="no error bars"):
        testbed.get_energy_stderr(Atoms("S"))


def test_a_file_of_several_heads(tmp_path: Path) -> None:
    model = tiny_mace(layers=1, heads=("dft", "mp2"))
    torch.save(model, tmp_path / "a.model")
    with pytest.raises(ModelError, match="dft, mp2"):
        RungCalculator(tmp_path / "a.model", fidelity="low")
    found = RungCalculator(tmp_path / "a.model", fidelity="low", head="mp2").get_property("energy", METHANE)
    wanted = RungCalculator(wrap(model, "low", "mp2"), fidelity="low").get_property("energy", METHANE)
    assert found == pytest.approx(wanted, abs=1e-12)


def test_any_potential_serves() -> None:
    potential = pair_potential(PairBackbone())
    structure = pair_structures(PairBackbone())[0]
    atoms = structure.atoms.copy()
    atoms.calc = RungCalculator(potential, fidelity="low")
    batch = collate([structure], ["low"], potential.cutoff)
    assert atoms.get_potential_energy() == pytest.approx(float(potential.predict(batch).energy[0]), abs=1e-12)


def test_unknown_element_is_named(calculator: RungCalculator) -> None:
    atoms = Atoms("Au", calculator=calculator)
    with pytest.raises(ModelError, match=r"\bAu\b"):
        atoms.get_potential_energy()


def test_relaxation_lowers_the_energy(testbed_base: ReadoutPotential) -> None:
    atoms = Atoms("MoS2", positions=[[0, 0, 0], [1.7, 1.6, 0.1], [1.6, -1.8, 0.2]])
    atoms.calc = RungCalculator(testbed_base, fidelity="pbe")
    before = atoms.get_potential_energy()
    BFGS(atoms, logfile=None).run(fmax=0.02, steps=10)
    assert atoms.get_potential_energy() < before


def _derivative(checkpoint: Checkpoint, atoms: Atoms, *, forces: bool) -> np.ndarray:
    """Return ∂E/∂(weights, E0), or ∂F/∂weights, by moving each parameter of the potential: E and F are linear."""
    surface = checkpoint.potential.surface("high")
    n_weights, elements = len(surface.readout.weights), surface.reference.elements
    steps = np.eye(n_weights + len(elements))[: n_weights if forces else None]

    def values(step: np.ndarray) -> np.ndarray:
        moved = Surface(surface.readout.moved(step[:n_weights]), surface.reference.moved(elements, step[n_weights:]))
        potential = checkpoint.potential.with_surface("high", moved)
        batch = collate([Structure(atoms, "", {})], ["high"], potential.cutoff, names=potential.fidelities)
        found = potential.predict(batch)
        return found.forces.numpy().reshape(-1) if forces else found.energy.numpy()

    zero = values(np.zeros(n_weights + len(elements)))
    full = np.hstack([steps, np.zeros((len(steps), n_weights + len(elements) - steps.shape[1]))])
    return np.stack([values(step) - zero for step in full], axis=1)


def test_energy_bars(lifted: Checkpoint, calculator: RungCalculator) -> None:
    gradient = _derivative(lifted, METHANE, forces=False)[0]
    variance = gradient @ lifted.posterior.covariance @ gradient
    assert calculator.get_energy_stderr(METHANE, model_error=False) == pytest.approx(np.sqrt(variance), rel=1e-6)
    smooth = gradient @ lifted.posterior.model_covariance @ gradient
    total = np.sqrt(variance + smooth + len(METHANE) * lifted.posterior.model_error**2)
    assert calculator.get_energy_stderr(METHANE) == pytest.approx(total, rel=1e-6)


def test_force_bars(lifted: Checkpoint, calculator: RungCalculator) -> None:
    jacobian = _derivative(lifted, WATER, forces=True)
    n_weights = jacobian.shape[1]
    variance = np.diag(jacobian @ lifted.posterior.covariance[:n_weights, :n_weights] @ jacobian.T)
    weights = calculator.get_forces_stderr(WATER, model_error=False)
    assert weights.shape == (3, 3)
    np.testing.assert_allclose(weights.reshape(-1) ** 2, variance, rtol=1e-5, atol=1e-12)
    total = calculator.get_forces_stderr(WATER)
    smooth = np.diag(jacobian @ lifted.posterior.model_covariance[:n_weights, :n_weights] @ jacobian.T)
    own = total**2 - weights**2
    np.testing.assert_allclose(own.reshape(-1), smooth + lifted.posterior.force_error**2, rtol=1e-5)


def test_covariance_of_several(lifted: Checkpoint, calculator: RungCalculator) -> None:
    structures = [METHANE, rattled(METHANE, 7), Atoms("C"), Atoms("CH", positions=[[0, 0, 0], [0, 0, 1.1]])]
    gradients = np.concatenate([_derivative(lifted, atoms, forces=False) for atoms in structures])
    weights = calculator.energy_covariance(structures, model_error="none")
    np.testing.assert_allclose(weights, gradients @ lifted.posterior.covariance @ gradients.T, rtol=1e-5, atol=1e-9)
    sizes = np.array([len(atoms) for atoms in structures])
    smooth = gradients @ lifted.posterior.model_covariance @ gradients.T
    rough = np.diag(sizes * lifted.posterior.model_error**2)
    total = calculator.energy_covariance(structures)
    np.testing.assert_allclose(total, weights + smooth + rough, rtol=1e-5, atol=1e-9)
    assert np.linalg.eigvalsh(total).min() > -1e-9


def test_a_composition_that_no_label_identifies(calculator: RungCalculator) -> None:
    """The last E0, of oxygen, is not identified: water has no bar, the difference of two waters has one."""
    other = rattled(WATER, 11)
    assert calculator.get_energy_stderr(WATER) == np.inf
    covariance = calculator.energy_covariance([METHANE, WATER])
    assert np.isfinite(covariance[0, 0])
    assert np.isinf(covariance[1, :]).all()
    assert calculator.energy_difference_stderr(WATER, CARBON_DIOXIDE) == np.inf
    assert 0 < calculator.energy_difference_stderr(WATER, other) < np.inf
    assert np.isfinite(calculator.get_forces_stderr(WATER)).all()


def test_differences_use_the_covariance(calculator: RungCalculator) -> None:
    other = rattled(METHANE, 8)
    for kind in ("none", "total"):
        covariance = calculator.energy_covariance([METHANE, other], model_error=kind)
        wanted = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
        found = calculator.energy_difference_stderr(METHANE, other, model_error=kind)
        assert found == pytest.approx(np.sqrt(wanted), rel=1e-6)
    assert calculator.energy_difference_stderr(METHANE, METHANE, model_error="none") == pytest.approx(0, abs=1e-7)
    assert calculator.energy_difference_stderr(METHANE, METHANE) == pytest.approx(0, abs=1e-7)


def test_the_last_structure_is_the_default(calculator: RungCalculator) -> None:
    with pytest.raises(ConfigError, match="No structure"):
        calculator.get_energy_stderr()
    atoms = METHANE.copy()
    atoms.calc = calculator
    atoms.get_potential_energy()
    assert calculator.get_energy_stderr() == calculator.get_energy_stderr(METHANE)
    assert calculator.get_forces_stderr().shape == (5, 3)


def test_bars_belong_to_one_fidelity(lifted: Checkpoint) -> None:
    low = RungCalculator(lifted, fidelity="low")
    with pytest.raises(ModelError, match="of 'high', not of 'low'"):
        low.get_energy_stderr(METHANE)


def test_bars_need_what_the_fit_knew(lifted: Checkpoint) -> None:
    posterior = lifted.posterior
    kept = [k for k, name in enumerate(posterior.parameters) if name != "E0[6]"]
    without_carbon = Posterior(
        parameters=tuple(posterior.parameters[k] for k in kept),
        mean=posterior.mean[kept],
        covariance=posterior.covariance[np.ix_(kept, kept)],
        unidentified=np.zeros((0, len(kept))),
        model_error=posterior.model_error,
        force_error=posterior.force_error,
    )
    calculator = RungCalculator(Checkpoint(lifted.potential, without_carbon, {"target": "high"}), fidelity="high")
    assert calculator.get_energy_stderr(WATER) > 0
    with pytest.raises(ModelError, match=r"\bC\b"):
        calculator.get_energy_stderr(METHANE)
    with pytest.raises(ConfigError, match="'all'"):
        calculator.energy_covariance([WATER], model_error="all")  # type: ignore[arg-type]


def test_lazy_export() -> None:
    assert rung.RungCalculator is RungCalculator
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = rung.no_such_name


def test_single_precision_of_large_energies() -> None:
    """Totals are added in float64, so reference energies of thousands of eV cost a float32 model no digits."""
    model = tiny_mace(dtype=torch.float32)
    potential = wrap(model, "low")
    surface = potential.surface("low")
    elements = surface.reference.elements
    heavy = potential.with_surface(
        "high", Surface(surface.readout, surface.reference.moved(elements, np.full(len(elements), -4096.0)))
    )
    light, deep = (RungCalculator(heavy, fidelity=name).get_property("energy", METHANE) for name in ("low", "high"))
    assert deep - light == pytest.approx(-5 * 4096.0, abs=1e-9)
