"""The loss: averages over what is labelled, and errors of labels as weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.data.batch import Batch, collate
from rung.data.labels import Labels
from rung.data.structure import Structure
from rung.errors import ConfigError
from rung.fit.training.loss import Huber, LossSettings, Squared, loss_sums, nothing, total
from rung.model.protocols import Prediction

WEIGHTS = LossSettings(energy_weight=3.0, forces_weight=5.0, stress_weight=7.0)


def structure(n_atoms: int, seed: int, *, energy: bool = True, forces: bool = True, stress: bool = True) -> Structure:
    generator = np.random.default_rng(seed)
    labels = Labels(
        energy=generator.normal() if energy else np.nan,
        energy_stderr=np.nan,
        forces=generator.normal(size=(n_atoms, 3)) if forces else np.full((n_atoms, 3), np.nan),
        forces_stderr=np.full((n_atoms, 3), np.nan),
        stress=generator.normal(size=6) if stress else np.full(6, np.nan),
    )
    atoms = Atoms("H" * n_atoms, positions=generator.normal(size=(n_atoms, 3)), cell=5 * np.eye(3), pbc=True)
    return Structure(atoms, f"s{seed}", {"low": labels})


def batch_of(structures: list[Structure]) -> Batch:
    return collate(structures, ["low"] * len(structures), cutoff=3.0)


def prediction_of(batch: Batch, seed: int = 0) -> Prediction:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    n_atoms = len(batch.numbers)
    return Prediction(normal(batch.n_rows), normal(n_atoms), normal(n_atoms, 3), normal(batch.n_rows, 6))


def loss_of(prediction: Prediction, batch: Batch, weights: LossSettings = WEIGHTS) -> torch.Tensor:
    return total(loss_sums(prediction, batch, weights), weights)


def test_is_the_weighted_sum_of_three_means() -> None:
    batch = batch_of([structure(2, 0), structure(5, 1)])
    prediction = prediction_of(batch)
    per_atom = ((prediction.energy - batch.energy) / torch.tensor([2.0, 5.0])).square().mean()
    expected = (
        3.0 * per_atom
        + 5.0 * (prediction.forces - batch.forces).square().mean()
        + 7.0 * (prediction.stress - batch.stress).square().mean()
    )
    torch.testing.assert_close(loss_of(prediction, batch), expected, rtol=1e-14, atol=0.0)


@given(
    masks=st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=4),
    n_unlabelled=st.integers(1, 4),
)
@settings(max_examples=30, deadline=None)
def test_unlabelled_rows_change_nothing(masks: list[tuple[int, bool, bool, bool]], n_unlabelled: int) -> None:
    labelled = [
        structure(size, seed, energy=energy, forces=forces, stress=stress)
        for seed, (size, energy, forces, stress) in enumerate(masks)
    ]
    silent = [structure(3, 100 + k, energy=False, forces=False, stress=False) for k in range(n_unlabelled)]
    alone, together = batch_of(labelled), batch_of([*labelled, *silent])
    wide = prediction_of(together)
    narrow = Prediction(
        wide.energy[: alone.n_rows],
        wide.atom_energies[: len(alone.numbers)],
        wide.forces[: len(alone.numbers)],
        wide.stress[: alone.n_rows],
    )
    # summing more zeros may add in another order: the last bit, no more
    assert loss_of(wide, together).item() == pytest.approx(loss_of(narrow, alone).item(), rel=1e-13, abs=0.0)


def test_sums_of_batches_add_to_the_sum_of_all() -> None:
    parts = [structure(2, 0), structure(3, 1, energy=False), structure(4, 2, forces=False)]
    whole = batch_of(parts)
    prediction = prediction_of(whole)
    sums = nothing(("low",))
    start = 0
    for row, part in enumerate(parts):
        atoms = slice(start, start + len(part))
        start += len(part)
        one = Prediction(
            prediction.energy[row : row + 1],
            prediction.atom_energies[atoms],
            prediction.forces[atoms],
            prediction.stress[row : row + 1],
        )
        sums = sums + loss_sums(one, batch_of([part]), WEIGHTS)
    torch.testing.assert_close(total(sums, WEIGHTS), loss_of(prediction, whole), rtol=1e-13, atol=0.0)


def test_gradient_at_absent_labels_is_zero_not_nan() -> None:
    batch = batch_of([structure(2, 0), structure(3, 1, energy=False, forces=False, stress=False)])
    prediction = prediction_of(batch)
    loss_of(prediction, batch).backward()
    for tensor in (prediction.energy, prediction.forces, prediction.stress):
        assert torch.isfinite(tensor.grad).all()
    assert prediction.energy.grad[1] == 0.0
    assert torch.all(prediction.forces.grad[2:] == 0.0)


def test_nothing_labelled_is_zero_with_a_graph() -> None:
    batch = batch_of([structure(2, 0, energy=False, forces=False, stress=False)])
    prediction = prediction_of(batch)
    loss = loss_of(prediction, batch)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.all(prediction.energy.grad == 0.0)


def test_what_was_not_predicted_counts_nothing() -> None:
    batch = batch_of([structure(2, 0)])
    prediction = replace(prediction_of(batch), forces=None, stress=None)
    sums = loss_sums(prediction, batch, WEIGHTS)
    assert sums.counts.tolist() == [[1.0, 0.0, 0.0]]


def test_energy_errors_weigh_as_documented() -> None:
    batch = batch_of([structure(4, 0, forces=False, stress=False), structure(4, 1, forces=False, stress=False)])
    noisy = replace(batch, energy_stderr=torch.tensor([0.06, torch.nan], dtype=torch.float64))
    weights = LossSettings(energy_weight=1.0, energy_floor=0.005)
    prediction = prediction_of(batch)
    squares = ((prediction.energy - batch.energy) / 4.0).square()
    error = 0.06 / 4.0
    expected = (squares[0] * 0.005**2 / (error**2 + 0.005**2) + squares[1]) / 2.0
    torch.testing.assert_close(loss_of(prediction, noisy, weights), expected, rtol=1e-14, atol=0.0)


def test_equal_errors_everywhere_are_a_likelihood_of_that_variance() -> None:
    """Twice the negative log-likelihood is Σ r²/(σ² + σ0²): the term is that times σ0² over the number of labels."""
    batch = batch_of([structure(3, seed, forces=False, stress=False) for seed in range(6)])
    noisy = replace(batch, energy_stderr=torch.full_like(batch.energy, 0.3))
    weights = LossSettings(energy_weight=1.0, energy_floor=0.02)
    prediction = prediction_of(batch)
    residual = ((prediction.energy - batch.energy) / 3.0).detach().numpy()
    chi2 = float(np.sum(residual**2 / (0.1**2 + 0.02**2)))
    assert loss_of(prediction, noisy, weights).item() == pytest.approx(chi2 * 0.02**2 / 6, rel=1e-13)


def test_force_errors_weigh_components() -> None:
    batch = batch_of([structure(2, 0, energy=False, stress=False)])
    stderr = torch.full_like(batch.forces, torch.nan)
    stderr[0, 0] = 0.2
    weights = LossSettings(forces_weight=1.0, forces_floor=0.1)
    prediction = prediction_of(batch)
    squares = (prediction.forces - batch.forces).square()
    scale = torch.ones_like(squares)
    scale[0, 0] = 0.1**2 / (0.2**2 + 0.1**2)
    expected = (scale * squares).mean()
    torch.testing.assert_close(
        loss_of(prediction, replace(batch, forces_stderr=stderr), weights), expected, rtol=1e-13, atol=0.0
    )


def test_huber_is_the_square_below_and_a_tangent_line_above() -> None:
    huber, residual = Huber(delta=0.5), torch.tensor([0.1, -0.3, 0.5, 2.0, -3.0], dtype=torch.float64)
    expected = torch.tensor([0.01, 0.09, 0.25, 2 * 0.5 * 2.0 - 0.25, 2 * 0.5 * 3.0 - 0.25], dtype=torch.float64)
    torch.testing.assert_close(huber(residual), expected, rtol=1e-14, atol=0.0)
    torch.testing.assert_close(Squared()(residual[:3]), huber(residual[:3]), rtol=1e-14, atol=0.0)


def test_large_float32_energies_keep_their_digits() -> None:
    """A label of 10⁵ eV, predicted to 1 meV: float32 alone would round that to 8 meV or nothing."""
    one = structure(1, 0, forces=False, stress=False)
    labels = replace(one.labels["low"], energy=100000.0)
    batch = collate([Structure(one.atoms, "big", {"low": labels})], ["low"], 3.0)
    prediction = replace(prediction_of(batch), energy=torch.tensor([100000.001], dtype=torch.float64))
    weights = LossSettings(energy_weight=1.0)
    assert loss_of(prediction, batch, weights).item() == pytest.approx(1e-6, rel=1e-4)


def test_row_without_volume_has_no_stress_term() -> None:
    batch = batch_of([structure(2, 0), structure(2, 1)])
    prediction = prediction_of(batch)
    stress = prediction.stress.detach().clone()
    stress[1] = torch.nan
    sums = loss_sums(replace(prediction, stress=stress), batch, WEIGHTS)
    assert sums.counts[0, 2] == 6.0
    assert torch.isfinite(sums.sums).all()


NAMES = ("low", "high", "best")


def mixed_batch() -> Batch:
    """Rows of three fidelities, unequally many and unequally labelled."""
    rows = [
        (structure(2, 0), "low"),
        (structure(4, 1), "high"),
        (structure(3, 2, forces=False), "low"),
        (structure(5, 3), "low"),
        (structure(2, 4, energy=False), "best"),
    ]
    named = [Structure(item.atoms, item.structure_id, {name: item.labels["low"]}) for item, name in rows]
    return collate(named, [name for _, name in rows], cutoff=3.0, names=NAMES)


def only(batch: Batch, name: str) -> Batch:
    """Return the batch with the labels of one fidelity alone."""
    row = batch.fidelity == NAMES.index(name)
    return replace(
        batch,
        energy=torch.where(row, batch.energy, torch.nan),
        forces=torch.where(row[batch.atom_row][:, None], batch.forces, torch.nan),
        stress=torch.where(row[:, None], batch.stress, torch.nan),
    )


def gradients(batch: Batch, weights: LossSettings) -> torch.Tensor:
    prediction = prediction_of(batch)
    loss_of(prediction, batch, weights).backward()
    found = (prediction.energy.grad, prediction.forces.grad, prediction.stress.grad)
    return torch.cat([gradient.flatten() for gradient in found])


def test_weights_of_fidelities_are_what_they_say() -> None:
    """The gradient is the weighted sum of those of each fidelity alone, however many labels each has."""
    batch, given_weights = mixed_batch(), {"low": 0.3, "high": 2.5}
    together = gradients(batch, WEIGHTS.model_copy(update={"fidelity_weights": given_weights}))
    alone = sum(given_weights.get(name, 1.0) * gradients(only(batch, name), WEIGHTS) for name in NAMES)
    assert together.abs().max() > 0.1
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-14)


def test_repeating_the_rows_of_one_fidelity_changes_no_weight() -> None:
    one = mixed_batch()
    items = [(structure(2, 0), "low"), (structure(4, 1), "high")]
    named = [Structure(item.atoms, item.structure_id, {name: item.labels["low"]}) for item, name in items]
    thrice = [*named, named[0], named[0]]
    batches = [
        collate(group, [next(iter(item.labels)) for item in group], cutoff=3.0, names=NAMES)
        for group in (named, thrice)
    ]
    assert one.fidelities == NAMES
    wide = prediction_of(batches[0])
    rows, atoms = [0, 1, 0, 0], [0, 1, 2, 3, 4, 5, 0, 1, 0, 1]
    repeated = Prediction(wide.energy[rows], wide.atom_energies[atoms], wide.forces[atoms], wide.stress[rows])
    assert loss_of(repeated, batches[1]).item() == pytest.approx(loss_of(wide, batches[0]).item(), rel=1e-14)


def test_weight_of_an_unknown_fidelity_is_refused() -> None:
    batch = mixed_batch()
    with pytest.raises(ConfigError, match="Unknown fidelity 'hgih'"):
        loss_of(prediction_of(batch), batch, LossSettings(fidelity_weights={"hgih": 2.0}))
