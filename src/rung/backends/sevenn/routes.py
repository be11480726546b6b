"""How SevenNet models leave for LAMMPS, by SevenNet's own converter."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list

from rung.backends.routes import Route, lammps_input, run_converter
from rung.backends.sevenn.importing import import_sevenn
from rung.data.labels import Array

CONVERTER = "sevenn.main.sevenn"
RUNS_IN = torch.float32
"""The type of what pair_e3gnn hands over, and of what the converter writes, whatever type a checkpoint has."""


def serial(native: Path, out: Path) -> None:
    """Write the TorchScript file of ``pair_style e3gnn``."""
    import_sevenn()
    copy = out.with_name("native.pth")
    shutil.copyfile(native, copy)
    made = copy.with_name("deployed.pt")
    run_converter("SevenNet", CONVERTER, ["get_model", copy.name, "-o", made.stem], made)
    made.replace(out)


def evaluate_serial(file: Path, structures: Sequence[Atoms]) -> tuple[list[float], list[Array]]:
    """Compute as ``pair_style e3gnn`` does: vectors to neighbours in float32, forces from the gradients by them.

    Its source is ``pair_e3gnn.cpp`` of sevenn: the pair style reads cutoff and elements from the file.
    """
    said = {"cutoff": "", "chemical_symbols_to_index": ""}
    model = torch.jit.load(str(file), map_location="cpu", _extra_files=said)
    cutoff, symbols = float(_text(said["cutoff"])), _text(said["chemical_symbols_to_index"]).split()
    energies, forces = [], []
    for atoms in structures:
        senders, receivers, vectors = neighbor_list("ijD", atoms, cutoff)
        edges = torch.as_tensor(np.array([senders, receivers]))
        along = torch.as_tensor(vectors, dtype=RUNS_IN).requires_grad_()
        count = torch.tensor([len(atoms)])
        kinds = torch.tensor([symbols.index(symbol) for symbol in atoms.get_chemical_symbols()])
        out = model({"x": kinds, "edge_index": edges, "edge_vec": along, "num_atoms": count, "nlocal": count})
        energy = out["inferred_total_energy"].squeeze()
        (pulls,) = torch.autograd.grad(energy, along)
        total = torch.zeros(len(atoms), 3, dtype=pulls.dtype).index_add(0, edges[0], pulls)
        energies.append(float(energy.detach()))
        forces.append(np.asarray(total.index_add(0, edges[1], -pulls).double().numpy()))
    return energies, forces


def _text(said: Any) -> str:
    """Return what a file says of itself, which torch gives as bytes."""
    return said.decode() if isinstance(said, bytes) else str(said)


ROUTES: Mapping[str, Route] = {
    "lammps": Route(
        name="lammps",
        engine="LAMMPS, pair_style e3gnn",
        suffix=".lammps.pt",
        refusal=lambda _: "",
        convert=serial,
        evaluate=evaluate_serial,
        script=lammps_input(
            "For LAMMPS patched with SevenNet's pair_e3gnn (sevenn patch_lammps): one process; for more see pair_style"
            " e3gnn/parallel.",
            "pair_style      e3gnn",
            "pair_coeff      * * {file} {elements}",
        ),
        energy=2e-6,
        force=6e-5,
        runs_in=RUNS_IN,
    )
}
"""By name."""
