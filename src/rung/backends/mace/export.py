"""Writing one fidelity of a potential as a plain MACE file."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from rung.backends.linear_layers import dense, scalar_paths
from rung.backends.mace.backbone import MaceBackbone, copy_model
from rung.backends.mace.conditioned import ConditionedMaceBackbone
from rung.backends.mace.describe import class_name, heads_of
from rung.backends.mace.engine import modules, o3
from rung.backends.mace.extract import readout_of, reference_of, scale_shift_of
from rung.backends.mace.rebuild import building, give_bias
from rung.data.elements import symbols
from rung.data.labels import Array
from rung.errors import ModelError
from rung.model.potential import ReadoutPotential, Surface
from rung.model.readout import Readout, ReadoutBlock
from rung.storage import atomic_path


def export(potential: ReadoutPotential, fidelity: str, path: Path) -> None:
    """Write one fidelity to ``path`` as a model that MACE's own tools load; see :func:`rung.backends.export`."""
    model = native_model(potential, fidelity)
    with atomic_path(path) as temporary:
        torch.save(model, temporary)


def native_model(potential: ReadoutPotential, fidelity: str) -> torch.nn.Module:
    """Return one fidelity as a MACE model with one head, on the CPU; what a fit left alone keeps every bit.

    Raises
    ------
    ModelError
        When the surface has something that no MACE model can hold.
    """
    backbone = potential.backbone
    if not isinstance(backbone, MaceBackbone):
        raise ModelError(f"A {type(backbone).__name__} is not MACE, so it cannot be written as a MACE file.")
    surface = potential.surface(fidelity)
    if isinstance(backbone, ConditionedMaceBackbone):
        backbone = backbone.at(fidelity)
    model: Any = copy_model(backbone.module).to("cpu")
    head = backbone.head_index
    was = readout_of(model, head, backbone.layout)
    _refuse_other_shape(was, surface.readout)
    with torch.no_grad():
        if len(heads_of(model)) > 1:
            _keep_head(model, head, fidelity)
            head = 0
        _write_constants(model, head, surface)
        for index, block in enumerate(surface.readout.blocks):
            model.readouts[index] = _written(model.readouts[index], block, n_heads=len(heads_of(backbone.module)))
    exported: torch.nn.Module = model.requires_grad_(requires_grad=True)
    return exported


def _refuse_other_shape(was: Readout, now: Readout) -> None:
    """Raise where the readout is not of the base's form, hidden units aside."""
    form = [(block.name, block.columns, [(la.activation, la.gain) for la in block.layers]) for block in was.blocks]
    found = [(block.name, block.columns, [(la.activation, la.gain) for la in block.layers]) for block in now.blocks]
    if form != found:
        raise ModelError(
            "The readout has other blocks, features or activations than the MACE model it came from, so no MACE file "
            "can hold it; RungCalculator runs it."
        )


def _keep_head(model: Any, head: int, name: str) -> None:
    """Reduce what a model of several heads keeps per head, readouts aside, to one."""
    model.heads = [name]
    energies = model.atomic_energies_fn.atomic_energies
    model.atomic_energies_fn.atomic_energies = torch.atleast_2d(energies)[head : head + 1].clone()
    if hasattr(model, "scale_shift"):
        scale_shift = model.scale_shift
        scale_shift.scale = torch.atleast_1d(scale_shift.scale)[head : head + 1].clone()
        scale_shift.shift = torch.atleast_1d(scale_shift.shift)[head : head + 1].clone()


def _write_constants(model: Any, head: int, surface: Surface) -> None:
    was = reference_of(model, head).energies
    missing = sorted(set(was) - set(surface.reference.energies))
    if missing:
        raise ModelError(
            f"There is no reference energy for {symbols(missing)}, which the MACE model knows, so a MACE "
            "file would be wrong for them."
        )
    table = torch.atleast_2d(model.atomic_energies_fn.atomic_energies)[head]  # a view: writing reaches the buffer
    for index, (number, energy) in enumerate(was.items()):
        if surface.reference.energies[number] != energy:
            table[index] = surface.reference.energies[number]
    _write_scale(model, head, surface.readout)


def _write_scale(model: Any, head: int, readout: Readout) -> None:
    scale, shift = scale_shift_of(model, head)
    if readout.scale == scale and readout.shift == shift:
        return
    if not hasattr(model, "scale_shift"):
        raise ModelError("The readout has a scale or a shift, which a model of the class MACE cannot hold.")
    if readout.scale != scale and hasattr(model, "pair_repulsion"):
        raise ModelError("The readout has another scale than the base, by which MACE would scale pair repulsion too.")
    torch.atleast_1d(model.scale_shift.scale)[head] = readout.scale
    torch.atleast_1d(model.scale_shift.shift)[head] = readout.shift


def _written(module: Any, block: ReadoutBlock, *, n_heads: int) -> torch.nn.Module:
    """Return the readout with the block's weights: the same module where the shape is the same, else a new one."""
    if class_name(module) == "LinearReadoutBlock":
        target: Any = module if n_heads == 1 else _new_linear(module)
        _store(target.linear, block.weights[:, None], np.array([block.bias]))
        return target
    units = max(len(block.weights), *(len(layer.bias) for layer in block.layers))
    same = n_heads == 1 and units == module.hidden_irreps.count("0e")
    target = module if same else _new_non_linear(module, units)
    first = block.layers[0]
    if first.bias.any() and not target.linear_1.bias_numel:
        give_bias(target, "linear_1")
    _store(target.linear_1, _padded(first.weight, len(first.weight), units), _padded(first.bias, units))
    if len(block.layers) > 1:
        second = block.layers[1]
        _store(target.linear_mid, _padded(second.weight, units, units), _padded(second.bias, units))
    _store(target.linear_2, _padded(block.weights, units)[:, None], np.array([block.bias]))
    return target


def _new_linear(module: Any) -> torch.nn.Module:
    with building(module.linear.weight.dtype):
        new: torch.nn.Module = modules.LinearReadoutBlock(module.linear.irreps_in, o3.Irreps("1x0e"))
    return new.eval()


def _new_non_linear(module: Any, units: int) -> torch.nn.Module:
    acts = module.non_linearity.acts
    with building(module.linear_1.weight.dtype):
        new: Any = type(module)(
            irreps_in=module.linear_1.irreps_in,
            MLP_irreps=o3.Irreps(f"{units}x0e"),
            gate=None if acts[0] is None else acts[0].f,
            irrep_out=o3.Irreps("1x0e"),
            num_heads=1,
        )
    new.non_linearity.acts = acts  # the constants that normalise it stay the file's own
    made: torch.nn.Module = new.eval()
    return made


def _padded(values: Array, *shape: int) -> Array:
    """Return ``values`` in the corner of zeros: units without weights on either side add nothing."""
    out = np.zeros(shape)
    out[tuple(slice(0, size) for size in values.shape)] = values
    return out


def _store(linear: Any, weight: Array, bias: Array) -> None:
    """Give an ``e3nn.o3.Linear`` a dense weight and bias; entries that it has already keep every bit."""
    old_weight, old_bias = dense(linear)
    written_bias = np.zeros(len(bias), dtype=bool)
    for path in scalar_paths(linear):
        target = linear.bias if path.is_bias else linear.weight
        values = target.detach().double().cpu().numpy()[path.flat].reshape(path.shape).copy()
        new = bias[path.columns] if path.is_bias else weight[path.rows, path.columns]
        old = old_bias[path.columns] if path.is_bias else old_weight[path.rows, path.columns]
        values = np.where(new == old, values, new / path.factor)
        target[path.flat] = torch.as_tensor(values.reshape(-1)).to(target)
        if path.is_bias:
            written_bias[path.columns] = True
    if np.any(bias[~written_bias] != 0.0):
        raise ModelError("The readout has a bias where the MACE model has none, so no MACE file can hold it.")
