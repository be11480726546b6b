"""Models of several fidelities: what each has of its own, and that one of them folds into a plain MACE file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rung import RungCalculator
from rung.backends import export, load_base
from rung.backends.mace import wrap
from rung.backends.mace.export import native_model
from rung.backends.mace.settings import MaceArchitecture
from rung.backends.training import build_trainable, trainable
from rung.checkpoint import load, save
from rung.data.batch import collate
from rung.data.structure import Structure
from rung.errors import ConfigError, ModelError
from rung.features.cache import DesignCache
from rung.features.passes import build_designs
from rung.model.conditioning import Conditioning
from rung.model.potential import ReadoutPotential, Surface
from rung.model.protocols import Prediction
from rung.model.reference import ReferenceEnergies
from rung.model.trainable import TrainablePotential
from tests.backends.comparison import assert_native, direct, energies_and_forces, mace_calculator
from tests.geometries import cell_structures, molecule_structures
from tests.mace_models import tiny_mace
from tests.several_fidelities import own, several, stirred, trained


def slow(*values: object) -> object:
    return pytest.param(*values, marks=pytest.mark.slow)


every_conditioning = pytest.mark.parametrize("conditioning", [slow("shared"), "readouts", slow("embedding"), "all"])


def said(model: TrainablePotential | ReadoutPotential, rows: list[str], structures: list[Structure]) -> Prediction:
    batch = collate(structures, rows, model.cutoff, dtype=model.dtype, names=model.fidelities)
    if isinstance(model, TrainablePotential):
        return model.eval()(batch, stress=True)
    return model.predict(batch, stress=True)


def agree(one: Prediction, two: Prediction, tolerance: float, *, by_atom: bool = True) -> None:
    for name in ("energy", "forces", "stress", *(("atom_energies",) if by_atom else ())):
        left, right = getattr(one, name), getattr(two, name)
        torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("conditioning", [slow("readouts"), slow("embedding"), "all"])
def test_a_batch_of_both_fidelities_is_the_batches_of_each(
    conditioning: Conditioning, molecules: list[Structure], cells: list[Structure]
) -> None:
    model = trained(conditioning)
    structures = [*molecules, *cells]
    rows = ["low", "high", "high", "low", "low", "high", "low"]
    for potential in (model, model.frozen()):
        mixed = said(potential, rows, structures)
        apart = {name: said(potential, [name] * len(rows), structures) for name in ("low", "high")}
        energy = torch.stack([apart[name].energy[row] for row, name in enumerate(rows)])
        torch.testing.assert_close(mixed.energy, energy, rtol=1e-12, atol=1e-11)
        owner = [name for name, structure in zip(rows, structures, strict=True) for _ in range(len(structure))]
        forces = torch.stack([apart[name].forces[atom] for atom, name in enumerate(owner)])
        torch.testing.assert_close(mixed.forces, forces, rtol=1e-11, atol=1e-11)
    agree(said(model, rows, structures), mixed, 1e-10)


FIRST = "RealAgnosticInteractionBlock"
FOLDED = [
    slow("readouts", {"pair_repulsion": True}),
    ("embedding", {"interaction_first": FIRST}),
    slow("embedding", {"hidden": "6x0e", "max_ell": 1, "layers": 1}),
    ("all", {"interaction_first": FIRST, "hidden": "4x0e+4x1o+4x2e"}),
    slow("all", {"pair_repulsion": True, "readout": "NonLinearBiasReadoutBlock", "gate": "tanh"}),
    slow("all", {"interaction_first": "RealAgnosticDensityInteractionBlock", "hidden": "6x0e",
             "interaction": "RealAgnosticDensityResidualInteractionBlock", "scale_shift": False}),
]  # fmt: skip


@pytest.mark.parametrize(("conditioning", "options"), FOLDED)
def test_a_fidelity_folds_into_a_mace_file(
    conditioning: Conditioning, options: dict[str, object], tmp_path: Path
) -> None:
    """The file holds nothing but MACE, whose own calculator agrees."""
    potential = several(conditioning, tuple(options.items()))
    path = tmp_path / "high.model"
    export(potential, "high", path)
    assert_native(path)
    frames = [structure.atoms for structure in (*molecule_structures(), *cell_structures())]
    ours = energies_and_forces(RungCalculator(potential, fidelity="high"), frames)
    theirs = energies_and_forces(mace_calculator(path, "float64"), frames)
    low = energies_and_forces(RungCalculator(potential, fidelity="low"), frames)
    assert np.abs(low[2] - theirs[2]).max() > 1e-2
    for index, (mine, wanted) in enumerate(zip(ours, theirs, strict=True)):
        if index != 1 or "pair_repulsion" not in options:  # rung shares repulsion among the atoms of a row
            np.testing.assert_allclose(mine, wanted, rtol=0, atol=1e-10)


def test_folding_in_float32_is_exact_to_its_rounding(molecules: list[Structure]) -> None:
    potential = several("all", (("dtype", torch.float32),))
    batch = collate(molecules, ["high"] * len(molecules), potential.cutoff, dtype=torch.float32)
    found, wanted = direct(native_model(potential, "high"), batch), potential.predict(batch)
    assert wanted.forces.dtype == torch.float32
    np.testing.assert_allclose(found.forces, wanted.forces, rtol=0, atol=1e-5 * float(wanted.forces.abs().max()))


@every_conditioning
def test_a_fidelity_that_adds_nothing_leaves_every_bit_of_the_base(conditioning: Conditioning) -> None:
    base = wrap(tiny_mace(), "low")
    frozen = trainable(base, {"low": "low", "high": "low"}, conditioning).frozen()
    before, after = (native_model(*case).state_dict() for case in ((base, "low"), (frozen, "high")))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("conditioning", [slow("readouts"), slow("embedding"), "all"])
def test_a_checkpoint_keeps_every_fidelity(
    conditioning: Conditioning, tmp_path: Path, molecules: list[Structure]
) -> None:
    potential = several(conditioning, (("hidden", "6x0e"), ("max_ell", 1)))
    save(tmp_path / "model.rung", potential, metadata={})
    found = load(tmp_path / "model.rung").potential
    assert found.fingerprint == potential.fingerprint
    assert found.backbone.conditioned == potential.backbone.conditioned == (conditioning in ("embedding", "all"))
    for fidelity in ("low", "high"):
        rows = [fidelity] * len(molecules)
        one, two = said(potential, rows, molecules), said(found, rows, molecules)
        assert torch.equal(one.energy, two.energy)
        assert torch.equal(one.forces, two.forces)
    narrow = load(tmp_path / "model.rung", dtype="float32").potential
    loose = said(narrow, ["high"] * len(molecules), molecules).forces.double()
    np.testing.assert_allclose(loose, two.forces, rtol=0, atol=1e-4 * float(two.forces.abs().max()))


@every_conditioning
def test_parameters_come_back_exactly(conditioning: Conditioning) -> None:
    """What was trained, frozen and taken up again is the same in every tensor, and a further fidelity is a copy."""
    model = trained(conditioning)
    start = {"low": "low", "high": "high", "third": "high"}
    again = dict(trainable(model.frozen(), start, conditioning).named_parameters())
    for name, parameter in model.named_parameters():
        # readouts beside the module's own are kept with their normalisation in them: one rounding each way
        rounding = 1e-15 if name.startswith("readouts.") else 0.0
        torch.testing.assert_close(again[name], parameter, rtol=rounding, atol=0.0)
    third = trainable(model.frozen(), start, conditioning)
    copies = zip(third.parameters_of("high"), third.parameters_of("third"), strict=True)
    assert all(torch.equal(again[one], again[two]) for one, two in copies)
    assert bool(own(third, "third")) == (conditioning != "shared")


@pytest.mark.parametrize("conditioning", ["readouts", slow("embedding"), "all"])
def test_rows_of_one_fidelity_move_nothing_that_belongs_to_another(
    conditioning: Conditioning, molecules: list[Structure]
) -> None:
    model = trained(conditioning).train()
    batch = collate(molecules, ["high"] * len(molecules), model.cutoff, names=model.fidelities)
    found = model(batch)
    (found.energy.sum() + found.forces.square().sum()).backward()
    for name, parameter in model.named_parameters():
        moved = parameter.grad is not None and bool(parameter.grad.any())
        assert moved == (name not in own(model, "low")) or name == "readouts.0.0.linear.bias", name


@pytest.mark.parametrize("conditioning", [slow("embedding"), "all"])
def test_designs_of_a_fidelity_are_its_own(
    conditioning: Conditioning, molecules: list[Structure], tmp_path: Path
) -> None:
    """The closed form sees the features of the fidelity that it asks for: energies and forces are those predicted."""
    potential = several(conditioning)
    structures = molecules[:2]
    for fidelity in ("low", "high"):
        surface = potential.surface(fidelity)
        given = {"forces": True, "fidelity": fidelity, "cache": DesignCache(tmp_path)}
        designs = build_designs(structures, potential.backbone, surface.readout, **given)
        wanted = said(potential, [fidelity] * 2, structures)
        numbers = [surface.reference.of(torch.as_tensor(structure.atoms.numbers)).sum() for structure in structures]
        energies = [
            design.energy @ surface.readout.weights + float(e0) + surface.readout.constant * len(structure)
            for design, e0, structure in zip(designs, numbers, structures, strict=True)
        ]
        np.testing.assert_allclose(energies, wanted.energy, rtol=0, atol=1e-9)
        forces = np.concatenate([(design.forces @ surface.readout.weights).reshape(-1, 3) for design in designs])
        np.testing.assert_allclose(forces, wanted.forces, rtol=0, atol=1e-9)


def test_one_fidelity_of_a_conditioned_potential_takes_new_surfaces(molecules: list[Structure]) -> None:
    potential = several("all")
    with pytest.raises(ConfigError, match="'third'"):
        said(potential.with_surface("third", potential.surface("low")), ["third"] * 4, molecules)
    plain = potential.at("high")
    assert not plain.backbone.conditioned
    lifted = plain.with_surface("third", potential.surface("high"))
    agree(said(lifted, ["third"] * 4, molecules), said(potential, ["high"] * 4, molecules), 1e-10)
    assert plain.at("high") is plain
    assert several("readouts").at("low").fidelities == ("low", "high")


SMALL = {"channels": 4, "max_l": 1, "cutoff": 4.0, "correlation": 2, "radial_units": (8,), "readout_units": 4}


def new(conditioning: Conditioning, scales: dict[str, tuple[float, float]], **changes: object) -> TrainablePotential:
    reference = {name: ReferenceEnergies({1: -1.0, 6: -2.0 - k, 8: -3.0}) for k, name in enumerate(scales)}
    architecture = MaceArchitecture.read({**SMALL, **changes})
    return build_trainable(
        architecture, references=reference, elements=(1, 6, 8), avg_num_neighbors=5.0, scales=scales, seed=0,
        dtype=torch.float64, conditioning=conditioning,
    )  # fmt: skip


@pytest.mark.parametrize("conditioning", [slow("shared"), slow("readouts"), slow("embedding"), "all"])
def test_scale_and_shift_of_each_fidelity(conditioning: Conditioning, molecules: list[Structure]) -> None:
    """All fidelities of a new model start equal, but for reference energies, scale and shift."""
    model = new(conditioning, {"a": (2.0, 0.1), "b": (3.0, -0.2), "c": (2.0, 0.1)})
    rows = {name: said(model, [name] * 4, molecules) for name in model.fidelities}
    torch.testing.assert_close(rows["b"].forces, 1.5 * rows["a"].forces, rtol=1e-12, atol=1e-12)
    frozen = model.frozen()
    for name, wanted in rows.items():
        agree(said(frozen, [name] * 4, molecules), wanted, 1e-10)
    readout = frozen.surface("b").readout
    assert (readout.scale, readout.shift) == (3.0, -0.2)
    batch = collate(molecules, ["b"] * 4, 4.0)
    np.testing.assert_allclose(
        direct(native_model(frozen, "b"), batch).energy, rows["b"].energy.detach(), rtol=0, atol=1e-10
    )
    again = trainable(frozen, {name: name for name in model.fidelities}, conditioning)
    agree(said(again, ["b"] * 4, molecules), rows["b"], 1e-10)


def test_fidelities_share_the_scale_of_pair_repulsion() -> None:
    with pytest.raises(ModelError, match="pair repulsion"):
        new("embedding", {"a": (2.0, 0.0), "b": (3.0, 0.0)}, pair_repulsion=True, max_l=0, layers=1)
    assert new("embedding", {"a": (2.0, 0.1), "b": (2.0, 0.3)}, pair_repulsion=True, max_l=0, layers=1).fidelities == (
        "a",
        "b",
    )


def test_what_fidelities_cannot_share_is_refused() -> None:
    lifted = several("readouts")
    for conditioning in ("shared", "embedding", "all"):
        with pytest.raises(ModelError, match="readouts of their own"):
            trainable(lifted, {"low": "low", "high": "high"}, conditioning)
        assert trainable(lifted, {"low": "high", "high": "high"}, conditioning).fidelities == ("low", "high")
    bent = several("embedding")
    for conditioning in ("shared", "readouts"):
        with pytest.raises(ModelError, match="differ before the readout"):
            trainable(bent, {"low": "low", "high": "high"}, conditioning)
    with pytest.raises(ModelError, match="readouts of their own"):
        trainable(several("all"), {"low": "low", "high": "high"}, "embedding")
    with pytest.raises(ConfigError, match="at least one"):
        trainable(bent, {}, "embedding")
    with pytest.raises(ModelError, match="the fidelities low, high"):
        trained("shared").set_references({"low": lifted.surface("low").reference})


@pytest.mark.parametrize(("before", "after"), [slow("embedding", "all"), ("all", "embedding"), slow("all", "readouts")])
def test_a_conditioned_base_starts_another_kind_of_model(
    before: Conditioning, after: Conditioning, molecules: list[Structure]
) -> None:
    base = several(before)
    model = trainable(base, {"high": "high", "third": "high"}, after)
    wanted = said(base, ["high"] * 4, molecules)
    for fidelity in ("high", "third"):
        agree(said(model, [fidelity] * 4, molecules), wanted, 1e-10)
        agree(said(model.frozen(), [fidelity] * 4, molecules), wanted, 1e-10)


def test_an_exported_file_is_a_base_like_any_other(tmp_path: Path, molecules: list[Structure]) -> None:
    """Its layers have biases, which MACE's own models have not; they may be trained, conditioned and written again."""
    export(several("all", (("hidden", "6x0e"), ("max_ell", 1))), "high", tmp_path / "high.model")
    base = load_base(tmp_path / "high.model", fidelity="base")
    model = trainable(base, {"a": "base", "b": "base"}, "all")
    wanted = said(base, ["base"] * 4, molecules)
    agree(said(model, ["b"] * 4, molecules), wanted, 1e-10)
    stirred(model, own(model, "b"))
    frozen = model.frozen()
    agree(said(frozen, ["a"] * 4, molecules), wanted, 1e-10)
    moved = said(frozen, ["b"] * 4, molecules)
    assert float((moved.energy - wanted.energy).abs().max()) > 1e-3
    agree(said(wrap(native_model(frozen, "b"), "b"), ["b"] * 4, molecules), moved, 1e-10)
    save(tmp_path / "model.rung", frozen, metadata={})
    assert load(tmp_path / "model.rung").potential.fingerprint == frozen.fingerprint


def test_one_model_at_several_of_its_heads(tmp_path: Path, molecules: list[Structure]) -> None:
    model = tiny_mace(heads=("a", "b", "c"), hidden="6x0e", max_ell=1)
    path = tmp_path / "heads.model"
    torch.save(model, path)
    base = load_base(path, fidelity="low", head={"low": "c", "high": "a"})
    for fidelity, head in (("low", "c"), ("high", "a")):
        batch = collate(molecules, [fidelity] * 4, 4.0, names=base.fidelities)
        wanted, found = direct(model, batch, head), base.predict(batch)
        np.testing.assert_allclose(found.energy, wanted.energy, rtol=0, atol=1e-10)
        np.testing.assert_allclose(found.forces, wanted.forces, rtol=0, atol=1e-10)
    trained_on = trainable(base, {"low": "low", "high": "high"}, "readouts")
    for fidelity in base.fidelities:
        agree(said(trained_on, [fidelity] * 4, molecules), said(base, [fidelity] * 4, molecules), 1e-10)
    with pytest.raises(ConfigError, match="'middle'; there is: high, low"):
        wrap(model, "middle", {"low": "c", "high": "a"})
    with pytest.raises(ModelError, match="'d'"):
        wrap(model, "low", {"low": "d"})
    with pytest.raises(ModelError, match="pair repulsion"):
        wrap(
            tiny_mace(heads=("a", "b"), pair_repulsion=True, hidden="4x0e", max_ell=1), "low", {"low": "a", "high": "b"}
        )


def test_readouts_of_any_width_train_together(molecules: list[Structure]) -> None:
    base = wrap(tiny_mace(), "low")
    surface = base.surface("low")
    linear, last = surface.readout.blocks
    layer = last.layers[0]
    wide = replace(
        last,
        layers=(replace(layer, weight=np.hstack([layer.weight, layer.weight]), bias=np.tile(layer.bias, 2)),),
        weights=np.concatenate([last.weights, 0.5 * last.weights]),
    )
    both = base.with_surface("high", Surface(replace(surface.readout, blocks=(linear, wide)), surface.reference))
    model = trainable(both, {"low": "low", "high": "high"}, "readouts")
    for fidelity in ("low", "high"):
        wanted = said(both, [fidelity] * 4, molecules)
        agree(said(model, [fidelity] * 4, molecules), wanted, 1e-10)
        agree(said(model.frozen(), [fidelity] * 4, molecules), wanted, 1e-10)
