"""How MACE models leave for other engines, by MACE's own converters where there are any."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list

from rung.backends.mace.facts import facts_of_file
from rung.backends.mace.importing import environment_restored, import_mace
from rung.backends.mace.lammps_atoms import LammpsAtoms
from rung.backends.parts import DAMAGE
from rung.backends.routes import Route, lammps_input, run_converter
from rung.data.labels import Array
from rung.errors import MissingExtraError, ModelError

CONVERTER = "mace.cli.create_lammps_model"
UNSAFE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
SYMMETRIX = "its Python package, from github.com/wcwitt/symmetrix"


def keeps_all(_: Path) -> str:
    """Return an empty reason: compiled as it is, a model loses nothing."""
    return ""


def loses_biases(native: Path) -> str:
    """Return why a file whose linear layers have biases cannot be built again by another library."""
    biased = facts_of_file(native, trusted=False).details.get("linear_layers_with_bias")
    if not biased:
        return ""
    return (
        f"The linear layers {biased} have biases, as the form 'all' of onehot and joint makes them; this conversion "
        "builds the model again and would lose them without a word. Use --for lammps, ASE, or the form 'embedding'."
    )


def compiled(native: Path, out: Path) -> None:
    """Write the TorchScript file of ``pair_style mace``."""
    _run_converter(native, out, "libtorch", "-lammps.pt")


def unified(native: Path, out: Path) -> None:
    """Write the pickled model of ``pair_style mliap unified``, converted to cuEquivariance as MACE's tool always does.

    Raises
    ------
    MissingExtraError
        When cuEquivariance is not installed.
    """
    _require("cuequivariance_torch", "pip install cuequivariance-torch (with cuequivariance-ops-torch-cu12 for a GPU)")
    _run_converter(native, out, "mliap", "-mliap_lammps.pt")


def _run_converter(native: Path, out: Path, form: str, ending: str) -> None:
    """Run MACE's own converter, which writes beside the file that it reads."""
    copy = out.with_name("native.model")
    shutil.copyfile(native, copy)
    dtype = facts_of_file(native, trusted=False).dtype
    made = copy.with_name(copy.name + ending)
    run_converter("MACE", CONVERTER, [copy.name, f"--format={form}", "--dtype", dtype], made)
    made.replace(out)


def _require(module: str, how: str) -> Any:
    """Return a package of an engine.

    Raises
    ------
    MissingExtraError
        When it is not installed.
    """
    import importlib  # noqa: PLC0415

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(f"The package {module} is not installed ({error}); install it: {how}.") from error


def evaluate_compiled(file: Path, structures: Sequence[Atoms]) -> tuple[list[float], list[Array]]:
    """Compute as ``pair_style mace`` does without domain decomposition: all atoms are local, edges have shifts."""
    import_mace()
    model = torch.jit.load(str(file), map_location="cpu")
    energies, forces = [], []
    for atoms in structures:
        data = _data_of(model, atoms)
        found = model(data, torch.ones(len(atoms), dtype=data["positions"].dtype), compute_virials=False)
        energies.append(float(found["total_energy_local"].detach()))
        forces.append(np.asarray(found["forces"].detach().double().numpy()))
    return energies, forces


def _data_of(model: Any, atoms: Atoms) -> dict[str, torch.Tensor]:
    """Return the input of a compiled model."""
    senders, receivers, images = neighbor_list("ijS", atoms, float(model.r_max))
    kind = model.r_max.dtype
    numbers = [int(number) for number in model.atomic_numbers]
    kinds = torch.tensor([numbers.index(int(number)) for number in atoms.numbers])
    cell = atoms.cell.array
    return {
        "positions": torch.as_tensor(atoms.positions, dtype=kind).requires_grad_(),
        "node_attrs": torch.nn.functional.one_hot(kinds, len(numbers)).to(kind),
        "edge_index": torch.as_tensor(np.array([senders, receivers])),
        "shifts": torch.as_tensor(images @ cell, dtype=kind),
        "unit_shifts": torch.as_tensor(images, dtype=kind),
        "cell": torch.as_tensor(cell, dtype=kind),
        "batch": torch.zeros(len(atoms), dtype=torch.int64),
        "ptr": torch.tensor([0, len(atoms)]),
    }


def evaluate_unified(file: Path, structures: Sequence[Atoms]) -> tuple[list[float], list[Array]]:
    """Compute as ``pair_style mliap unified`` does: ghost atoms, messages between them, forces pair by pair."""
    import_mace()
    with environment_restored(UNSAFE):
        os.environ[UNSAFE] = "1"
        # what MACE's converter has just made of a file that rung wrote
        model: Any = torch.load(file, map_location="cpu", weights_only=False)
    energies, forces = [], []
    for atoms in structures:
        sides = LammpsAtoms.of(atoms, 2.0 * model.rcutfac, model.element_types)
        model.compute_forces(sides)
        energies.append(sides.energy)
        forces.append(sides.forces())
    return energies, forces


def extracted(native: Path, out: Path) -> None:
    """Write the JSON of ``pair_style symmetrix/mace`` by symmetrix's own extractor.

    Raises
    ------
    MissingExtraError
        When symmetrix is not installed.
    ModelError
        When symmetrix does not support the model.
    """
    import json  # noqa: PLC0415

    extractor = _require("symmetrix.extract_mace_data", SYMMETRIX)
    import_mace()
    with environment_restored(UNSAFE):
        try:
            content = extractor.extract_mace_data(str(native), facts_of_file(native, trusted=False).elements)
        except DAMAGE as error:  # its own checks, and places in models that it does not know
            reason = " ".join(str(error).split())[:300]
            raise ModelError(f"symmetrix does not take this model ({type(error).__name__}: {reason}).") from error
    out.write_text(json.dumps(content), encoding="utf-8")


def evaluate_extracted(file: Path, structures: Sequence[Atoms]) -> tuple[list[float], list[Array]]:
    """Compute with symmetrix's own calculator."""
    symmetrix = _require("symmetrix", SYMMETRIX)
    calculator = symmetrix.Symmetrix(str(file), use_kokkos=hasattr(symmetrix, "MACEKokkos"))
    energies, forces = [], []
    for structure in structures:
        atoms = structure.copy()
        atoms.calc = calculator
        energies.append(float(atoms.get_potential_energy()))
        forces.append(np.asarray(atoms.get_forces()))
    return energies, forces


ROUTES: Mapping[str, Route] = {
    route.name: route
    for route in (
        Route(
            name="lammps",
            engine="LAMMPS, pair_style mace",
            suffix=".lammps.pt",
            refusal=keeps_all,
            convert=compiled,
            evaluate=evaluate_compiled,
            script=lammps_input(
                "For LAMMPS built with ML-MACE (libtorch): one process, for there is no domain decomposition.",
                "pair_style      mace no_domain_decomposition",
                "pair_coeff      * * {file} {elements}",
            ),
            energy=1e-8,
            force=1e-7,
        ),
        Route(
            name="mliap",
            engine="LAMMPS, pair_style mliap unified",
            suffix=".mliap.pt",
            refusal=loses_biases,
            convert=unified,
            evaluate=evaluate_unified,
            script=lammps_input(
                "For LAMMPS newer than 15 Dec 2025 with ML-IAP, PYTHON and KOKKOS:"
                " lmp -k on g 1 -sf kk -pk kokkos newton on neigh half",
                "pair_style      mliap unified {file} 0",
                "pair_coeff      * * {elements}",
            ),
            energy=1e-8,
            force=1e-7,
        ),
        Route(
            name="symmetrix",
            engine="LAMMPS, pair_style symmetrix/mace",
            suffix=".symmetrix.json",
            refusal=loses_biases,
            convert=extracted,
            evaluate=evaluate_extracted,
            script=lammps_input(
                "For LAMMPS of 10 Sep 2025 or newer with pair_symmetrix.",
                "pair_style      symmetrix/mace",
                "pair_coeff      * * {file} {elements}",
            ),
            energy=1e-4,
            force=1e-3,
        ),
    )
}
"""By name."""
