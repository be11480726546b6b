"""The tangent fit: its rows are derivatives, its limits are known, and its model is a plain one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from rung.backends import export, load_base
from rung.backends.errors import tangent_errors
from rung.backends.training import trainable
from rung.data.batch import by_count, collate
from rung.data.energy_table import EnergyRow, EnergyTable
from rung.data.labels import empty_labels
from rung.data.readers.structures import read_structures
from rung.data.splits import draw_labels
from rung.data.structure import Structure, composition_matrix
from rung.demo_data import folder
from rung.errors import ConfigError, FitError
from rung.features.passes import build_designs
from rung.features.weights import moving_tensors
from rung.fidelity import Fidelity
from rung.fit.lift import Base, Context
from rung.fit.linear.course import Course
from rung.fit.linear.derivatives import derivative_rows, design_derivatives, energies_of
from rung.fit.linear.gaussian import MODEL_ERROR
from rung.fit.linear.model_error import feature_error, probed_force_ratio
from rung.fit.linear.problem import Problem, energy_data, spread_beyond
from rung.fit.linear.spans import spans_of, step_of
from rung.fit.linear.terms import Band, Energies, WeightPrior, misfit
from rung.fit.methods import tangent
from rung.fit.methods.readout import ReadoutSettings, fit_readout
from rung.fit.methods.tangent import TangentSettings, _assembly, fit_tangent
from rung.model.potential import ReadoutPotential
from rung.model.predictions import predict_structures
from tests.fit.lifts import lift_of
from tests.geometries import rattled

FIDELITIES = {"low": Fidelity("low"), "high": Fidelity("high")}
CONTEXT = Context(dtype="float64")


def frames(molecules: list[Structure], count: int = 9, labelled: int = 9) -> list[Structure]:
    """Rattled molecules with invented energies of the target: the base's own plus a smooth change and E0."""
    random = np.random.default_rng(4)
    found = []
    for number in range(count):
        atoms = rattled(molecules[number % len(molecules)].atoms, 100 + number, 0.1)
        frame = Structure(atoms, f"frame-{number}", {})
        if number < labelled:
            label = replace(
                empty_labels(len(atoms)), energy=random.normal(scale=0.3) - 5.0 * len(atoms), energy_stderr=0.02
            )
            frame = replace(frame, labels={"high": label})
        found.append(frame)
    return found


def fit(train, base, **settings):
    return fit_tangent(lift_of(train, base), TangentSettings(**settings), CONTEXT)


def assembled(rows, train, before, elements, settings):
    composition = composition_matrix(train, elements)
    spans = spans_of(rows, composition, by_layer=settings.groups == "layers")
    design = np.hstack([span.design for span in spans])
    data = energy_data(train, FIDELITIES["high"], before, design[: len(train)], composition)
    size = misfit(data, spread_beyond(before, composition))
    return _assembly(data, size, rows, design[len(train) :], settings, spans)


def test_rows_equal_central_differences(tiny_potential, molecules):
    train = frames(molecules, 3)
    model = trainable(tiny_potential, {"high": "low"})
    rows = derivative_rows(model, train[:1], train, "high", ".*", probes=1)
    random = np.random.default_rng(0)
    direction = random.normal(size=rows.energy.shape[1])
    tensors = [tensor for _, tensor in model.named_parameters() if tensor.numel()]
    start = [tensor.detach().clone() for tensor in tensors]
    probed = np.random.default_rng(CONTEXT.seed)
    chosen = train[int(probed.integers(0, len(train), 1)[0])]
    along = torch.as_tensor(probed.normal(size=(len(chosen), 3)) / np.sqrt(len(chosen)))

    def at(step: float) -> tuple[float, float]:
        position = 0
        with torch.no_grad():
            for tensor, origin in zip(tensors, start, strict=True):
                size = tensor.numel()
                tensor.copy_(origin + step * torch.as_tensor(direction[position : position + size]).view(tensor.shape))
                position += size
        batch = collate([chosen], ["high"], model.cutoff, dtype=model.dtype)
        force = float((model(batch, forces=True).forces.detach() * along).sum())
        return float(energies_of(model, train[:1], "high")[0]), force

    step = 1e-5
    energy, force = ((one - other) / (2 * step) for one, other in zip(at(step), at(-step), strict=True))
    assert_allclose(rows.energy[0] @ direction, energy, rtol=1e-6)
    assert_allclose(rows.force[0] @ direction, force, rtol=1e-5, atol=1e-8)
    assert_allclose(rows.anchor[0], at(0.0)[1], rtol=1e-10)


def test_coordinates_stand_for_all_weights(tiny_potential, molecules):
    """In the coordinates of the fit the prior of energies is that of the weights: α² G Gᵀ up to one factor."""
    train = frames(molecules)
    model = trainable(tiny_potential, {"high": "low"})
    before = energies_of(model, train, "high")
    elements = tuple(sorted(tiny_potential.elements))
    rows = derivative_rows(model, train, train, "high", ".*")
    assembly = assembled(rows, train, before, elements, TangentSettings())
    design = assembly.model.data.design
    spans = spans_of(rows, composition_matrix(train, elements), by_layer=False)
    steps = [step_of(rows, spans, unit) for unit in np.eye(design.shape[1])]
    assert_allclose(rows.energy @ np.array(steps).T, design, rtol=1e-9, atol=1e-12)
    kernel, full = design @ design.T, rows.energy @ rows.energy.T
    assert_allclose(kernel / kernel[0, 0], full / full[0, 0], rtol=1e-8, atol=1e-10)
    layers = assembled(rows, train, before, elements, TangentSettings(groups="layers"))
    names = set(layers.model.hypers) - {MODEL_ERROR}
    assert names == {f"alpha[{layer}]" for layer in rows.layers}
    apart = spans_of(rows, composition_matrix(train, elements), by_layer=True)
    whole = step_of(rows, apart, np.arange(layers.model.data.design.shape[1], dtype=float))
    assert_allclose(
        rows.energy @ whole, layers.model.data.design @ np.arange(len(layers.model.data.design.T)), rtol=1e-8
    )


def test_energies_are_met_and_the_model_is_plain(tiny_potential, molecules, tmp_path):
    train = frames(molecules)
    result = fit(train, tiny_potential)
    batch = collate(train, ["high"] * len(train), tiny_potential.cutoff)
    after = result.potential.predict(batch).energy.numpy() - batch.energy.numpy()
    model = trainable(tiny_potential, {"high": "low"})
    before = energies_of(model, train, "high") - batch.energy.numpy()
    atoms = batch.n_atoms.numpy()
    start = np.std(before / atoms)
    assert np.sqrt(np.mean((after / atoms) ** 2)) < start
    export(result.potential, "high", tmp_path / "high.model")
    loaded = load_base(tmp_path / "high.model", fidelity="high")
    assert_allclose(loaded.predict(batch).forces, result.potential.predict(batch).forces, atol=1e-10)
    shapes = [tuple(tensor.shape) for tensor in loaded.backbone.module.state_dict().values()]
    assert shapes == [tuple(tensor.shape) for tensor in tiny_potential.backbone.module.state_dict().values()]


def test_only_the_chosen_layers_move(tiny_potential, molecules):
    result = fit(frames(molecules), tiny_potential, layers="readouts")
    before = tiny_potential.backbone.module.state_dict()
    after = result.potential.backbone.module.state_dict()
    for name, tensor in before.items():
        same = torch.equal(tensor, after[name])
        assert same or "readouts" in name or "atomic_energies" in name, name
    assert not torch.equal(before["readouts.0.linear.weight"], after["readouts.0.linear.weight"])
    with pytest.raises(ConfigError, match="No tensor"):
        fit(frames(molecules), tiny_potential, layers="nothing")


def test_linear_weights_alone_are_a_readout_fit(molecules, tiny_potential):
    """Where only weights move in which energies are linear, the step is exact and one step is all."""
    train = frames(molecules)
    result = fit(train, tiny_potential, layers=r"readouts\.0")
    model = trainable(tiny_potential, {"high": "low"})
    before = energies_of(model, train, "high")
    elements = tuple(sorted(tiny_potential.elements))
    settings = TangentSettings(layers=r"readouts\.0")
    rows = derivative_rows(model, train, train, "high", settings.layers, probes=settings.probes)
    assembly = assembled(rows, train, before, elements, settings)
    values = {name: result.diagnostics[name] for name in assembly.model.hypers}
    batch = collate(train, ["high"] * len(train), tiny_potential.cutoff)
    fitted = result.potential.predict(batch, forces=False).energy.numpy()
    sharp = assembly.model.posterior(values)
    linear = before + np.hstack([assembly.model.data.design, assembly.model.data.composition]) @ sharp.mean
    assert result.diagnostics["curvature"] < 1e-9
    # the fit averages over hyper-parameters, the line above takes their best values: near, not equal
    assert (
        np.abs(fitted - linear).max()
        < 0.1 * np.abs(batch.energy.numpy() - before - np.mean(batch.energy.numpy() - before)).max()
    )


def test_the_band_holds_forces(tiny_potential, molecules):
    train = frames(molecules)
    batch = collate(train, ["high"] * len(train), tiny_potential.cutoff)
    low = collate(train, ["low"] * len(train), tiny_potential.cutoff)
    base = tiny_potential.predict(low).forces

    def departure(**settings: object) -> float:
        return float((fit(train, tiny_potential, **settings).potential.predict(batch).forces - base).norm())

    assert departure(probes=30, scale_stderr=0.0) < departure()


def test_what_is_missing_is_said(tiny_potential, molecules):
    with pytest.raises(FitError, match="high_energy"):
        fit(frames(molecules, labelled=0), tiny_potential)
    with pytest.raises(ConfigError, match="needs a base"):
        fit(frames(molecules), None)


def test_layers_are_named_up_to_their_number(tiny_potential):
    model = trainable(tiny_potential, {"high": "low"})
    assert model.layer_of("module.interactions.1.linear_up.weight") == "interactions.1"
    assert model.layer_of("module.node_embedding.linear.weight") == "node_embedding"


def test_tensors_that_the_backend_holds_still_do_not_move(tiny_potential, molecules):
    """A library may keep fixed numbers, such as divisors of messages, among the parameters of its models."""
    model = trainable(tiny_potential, {"high": "low"})
    held = "module.products.0.linear.weight"
    model.get_parameter(held).requires_grad_(False)
    assert held not in moving_tensors(model, ".*")
    rows = derivative_rows(model, frames(molecules, 1), (), "high", ".*")
    assert rows.energy.shape[1] == sum(tensor.numel() for tensor in moving_tensors(model, ".*").values())


@pytest.mark.slow
def test_beats_the_readout_on_the_testbed(testbed_base: ReadoutPotential):
    """Target forces of held-out frames, 25 energies: what a readout cannot express, all layers can."""
    data = folder("mos2")
    train = draw_labels(read_structures(data / "train.extxyz"), "r2scan", 25, 0)
    test = read_structures(data / "test.extxyz")[::4]
    lift = lift_of(train, testbed_base, source="pbe", target="r2scan", fidelities=["pbe", "r2scan"])
    batch = collate(test, ["r2scan"] * len(test), testbed_base.cutoff, dtype=testbed_base.dtype)
    readout = ReadoutSettings(terms=(Energies(), Band(max_frames=20), WeightPrior()))
    results = {
        "readout": fit_readout(lift, readout, Context()),
        "tangent": fit_tangent(lift, TangentSettings(), Context()),
    }
    error = {
        name: float((item.potential.predict(batch).forces - batch.forces).square().mean().sqrt())
        for name, item in results.items()
    }
    print({name: round(1e3 * value) for name, value in error.items()})
    assert error["tangent"] < 0.9 * error["readout"]


def test_a_step_is_as_long_as_the_network_is_linear(tiny_potential, molecules):
    """Exact and wild energies ask for a step that no linear fit describes: s rises to the curvature, or it is said."""
    random = np.random.default_rng(8)
    wild = []
    for frame in frames(molecules[:3], 12, 12):  # single atoms are one environment, which has one energy
        label = frame.labels["high"]
        wild.append(
            replace(
                frame, labels={"high": replace(label, energy=label.energy + 20 * random.normal(), energy_stderr=1e-6)}
            )
        )
    result = fit(wild, tiny_potential)
    bent = result.diagnostics["curvature"] > 1.2 * result.diagnostics["model_error"]
    assert bool(result.warnings) == bent
    assert result.diagnostics["model_error"] > 1e-3
    batch = collate(wild, ["high"] * 12, tiny_potential.cutoff)
    assert np.isfinite(result.potential.predict(batch).energy.numpy()).all()


def test_differences_of_energy_designs_probe_the_size_of_forces(tiny_potential, molecules):
    """Along random directions they see what all components of the designs of forces see."""
    train = frames(molecules, count=6)
    base = Base(tiny_potential, tiny_potential.fidelities[0])
    readout = base.surface.readout
    whole = build_designs(train, base.plain.backbone, readout, forces=True, fidelity=base.fidelity)
    elements = tuple(sorted(base.plain.elements))
    problem = Problem(tuple(train), tuple(whole), readout, base.surface, elements, FIDELITIES["high"])
    derivatives = design_derivatives(base, train, np.random.default_rng(3))
    random = np.random.default_rng(3)
    along = [
        -random.normal(size=(len(one), 3)).ravel() @ design.forces for one, design in zip(train, whole, strict=True)
    ]
    assert_allclose(derivatives, along, rtol=1e-2, atol=2e-3 * np.abs(along).max())
    many = np.vstack([design_derivatives(base, train, np.random.default_rng(seed)) for seed in range(40)])
    ratio = probed_force_ratio(problem, many, 40 * sum(3 * len(one) for one in train))
    assert ratio == pytest.approx(feature_error(problem, whole).force_ratio, rel=0.15)


def test_a_negative_error_is_refused_as_by_the_readout(tiny_potential, molecules):
    train = [
        replace(frame, labels={"high": replace(frame.labels["high"], energy_stderr=-0.1)})
        for frame in frames(molecules)
    ]
    with pytest.raises(FitError, match="negative in 9 frames"):
        fit(train, tiny_potential)


def test_differences_to_one_structure_say_what_energies_of_one_composition_say(tiny_potential, molecules):
    """With a flat E0 nothing but differences counts; those to one structure share its error."""
    train = frames(molecules[:1], 6, 6)
    energies = fit(train, tiny_potential)
    first, sigma = train[0].labels["high"].energy, 0.02
    rows = [
        EnergyRow(
            frame.structure_id,
            "high",
            frame.labels["high"].energy - first,
            sigma * np.sqrt(2),
            minus="frame-0",
            run="w",
            shared_stderr=sigma,
        )
        for frame in train[1:]
    ]
    bare = [replace(frame, labels={}) for frame in train]
    lift = replace(lift_of(bare, tiny_potential), table=EnergyTable(tuple(rows)))
    differences = fit_tangent(lift, TangentSettings(), CONTEXT)
    n_weights = len(energies.posterior.coordinates.mean) - 3
    scale = np.abs(energies.posterior.coordinates.mean[:n_weights]).max()
    for one, other in (
        (energies.posterior.coordinates.mean, differences.posterior.coordinates.mean),
        (energies.posterior.coordinates.covariance, differences.posterior.coordinates.covariance),
    ):
        some = (slice(n_weights),) * one.ndim
        assert_allclose(other[some], one[some], atol=1e-3 * scale**one.ndim)
    assert differences.diagnostics["n_energies"] == 5
    assert any("says nothing of reference energies" in sentence for sentence in differences.warnings)
    said = {
        name: result.potential.predict(collate(bare, ["high"] * 6, tiny_potential.cutoff)).energy.numpy()
        for name, result in (("energies", energies), ("differences", differences))
    }
    changes = {name: values - values[0] for name, values in said.items()}
    assert_allclose(changes["differences"], changes["energies"], atol=2e-3)
    lift_errors = tangent_errors(differences.potential, "high", differences.posterior).energies(bare[:2])
    assert np.isinf(lift_errors.combination_variance([1.0, 0.0]).total)
    assert np.isfinite(lift_errors.combination_variance([1.0, -1.0]).total)


def test_labels_without_an_error_get_one_where_that_is_asked(tiny_potential, molecules):
    train = frames(molecules)
    hidden = [replace(one, labels={"high": replace(one.labels["high"], energy_stderr=np.nan)}) for one in train]
    stated, given = fit(train, tiny_potential), fit(hidden, tiny_potential, label_error=0.02)
    assert_allclose(given.posterior.coordinates.mean, stated.posterior.coordinates.mean, rtol=1e-6, atol=1e-9)
    found = fit(hidden, tiny_potential, label_error="auto")
    assert 1e-4 <= found.diagnostics["label_error"] <= 0.1
    assert any("9 labels carry no energy_stderr: evidence gives each" in sentence for sentence in found.warnings)
    assert any(row.name == "label_error" for row in found.details.hyperparameters)


def test_it_says_where_the_network_ended(tiny_potential, molecules):
    train = frames(molecules)
    result = fit(train, tiny_potential)
    said = [one.energy for one in predict_structures(result.potential, by_count(train, 4), "high", forces=False)]
    labels = [one.labelled("high").energy for one in train]
    residual = float(np.sqrt(np.mean(np.subtract(said, labels) ** 2)))
    assert result.diagnostics["network_residual_rmse"] == pytest.approx(residual)
    assert f"{1e3 * residual:.0f} meV off the labels" in result.details.notes[0]
    assert result.diagnostics["network_force_departure_rmse"] > 0
    assert "a departure, not an error" in result.details.notes[1]


def test_a_network_that_was_put_elsewhere_is_warned_of(tiny_potential, molecules, monkeypatch):
    """As where a step is too long for the network: what the linear fit says of itself is then about nothing."""
    follow = Course.follow

    def astray(self, step, model_error):
        arrival = follow(self, step, model_error)
        self.place(30.0 * step)
        return arrival

    monkeypatch.setattr(Course, "follow", astray)
    result = fit(frames(molecules), tiny_potential)
    assert any("it is not where the fit is" in sentence for sentence in result.warnings)


def test_one_label_alone_has_no_left_out_error_to_tell(tiny_potential, molecules):
    found = fit(frames(molecules[:1], 4, 1), tiny_potential)
    assert np.isnan(found.diagnostics["leave_one_out_rmse"])
    assert not [one for one in (*found.warnings, *found.details.notes) if "nan" in one]


def test_the_model_s_own_error_never_falls_for_the_network_s_sake(monkeypatch, tiny_potential, molecules):
    """Where the evidence's s is above the misfit already, the curvature asks for no smaller one."""
    asked, equal = [], tangent.where_equal

    def spied(size, low, high):
        asked.append((low, high))
        return equal(size, low, high)

    monkeypatch.setattr(tangent, "where_equal", spied)
    for count, scale in ((2, 1.0), (2, 10.0), (3, 3.0)):
        train = []
        for frame in frames(molecules[:1], 6, count):
            label = frame.labels.get("high")
            farther = label and {"high": replace(label, energy=-15 + scale * (label.energy + 15))}
            train.append(replace(frame, labels=farther or {}))
        fit(train, tiny_potential)
    assert all(low < high for low, high in asked)
