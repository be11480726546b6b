"""Lifts of the PBE base with few energies of DMC or UCCSD(T): draws, methods, and what they are judged by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from saddles import Saddle, energy

from rung import RungCalculator
from rung.checkpoint import Checkpoint
from rung.config import RunConfig
from rung.data.splits import energies_only
from rung.data.structure import Structure
from rung.fit.lift import Lift
from rung.fit.methods import method_of
from rung.run.inputs import context_of, open_base

TARGET, CHECK, CHEAP = "dmc", "ccsdt", "pbe"
METHODS: dict[str, dict[str, Any]] = {
    "offset": {"name": "offset"},
    "energies alone": {"name": "readout", "terms": [{"kind": "energies"}, {"kind": "weights"}]},
    "readout": {"name": "readout"},
    "tangent": {"name": "tangent"},
}
"""What is compared: offset cannot move a barrier, and the second has no anchor for forces."""

NUMBERS = (10, 20, 40)


@dataclass(frozen=True)
class Frames:
    """The frames by what they are for; none of ``path`` or ``test`` is ever learnt from.

    Parameters
    ----------
    pool
        Rattled frames with a DMC energy, and H2 + H; the others of the entrance channel anchor forces.
    anchors
        Frames without a label of the target.
    path
        The six other points of the path with a DMC energy.
    test
        Rattled frames with UCCSD(T) energies and forces.
    learnt
        What the base learns PBE from.
    """

    pool: tuple[Structure, ...]
    anchors: tuple[Structure, ...]
    path: tuple[Structure, ...]
    test: tuple[Structure, ...]
    learnt: tuple[Structure, ...]

    @classmethod
    def of(cls, structures: Sequence[Structure]) -> "Frames":
        """Sort the frames of the data set."""
        named = {structure.structure_id: structure for structure in structures}
        far = named["path_far"]
        rattled = [one for name, one in named.items() if name.startswith("rand")]
        channel = [one for name, one in named.items() if name.startswith("chan")]
        labelled = [one for one in rattled if one.labelled(TARGET).has_energy]
        test = [one for one in rattled if not one.labelled(TARGET).has_energy][:60]
        tested = {one.structure_id for one in test}
        return cls(
            pool=(far, *labelled),
            anchors=tuple(channel),
            path=tuple(one for name, one in named.items() if name.startswith("path") and one is not far),
            test=tuple(test),
            learnt=(far, *(one for one in rattled if one.structure_id not in tested), *channel),
        )

    def drawn(self, number: int, seed: int, target: str) -> tuple[tuple[Structure, ...], tuple[Structure, ...]]:
        """Return what a fit sees, ``number`` energies with that of H2 + H among them, and the labelled others.

        Forces of the target are never seen.
        """
        order = 1 + np.random.default_rng(seed).permutation(len(self.pool) - 1)
        chosen = {0, *order[: number - 1].tolist()}
        kept = [one for place, one in enumerate(self.pool) if place in chosen]
        left = [one for place, one in enumerate(self.pool) if place not in chosen]
        train = [only(one, CHEAP, target) for one in kept] + [only(one, CHEAP) for one in (*left, *self.anchors)]
        return energies_only(train, target), (*left, *self.path)


def only(structure: Structure, *fidelities: str) -> Structure:
    """Return a frame with its labels of these fidelities alone: without any of the target it still anchors forces."""
    return replace(structure, labels={name: one for name, one in structure.labels.items() if name in fidelities})


def lifted(config: RunConfig, train: Sequence[Structure], method: str, folder: Path) -> RungCalculator:
    """Return the potential that a method makes of labelled frames."""
    config = config.model_copy(
        update={"method": RunConfig.read({**config.model_dump(mode="json"), "method": METHODS[method]}).method}
    )
    base = open_base(config)
    context = context_of(config, base, seed=config.seed, folder=folder)
    target = config.target
    result = method_of(config.method).fit(
        Lift(train, (), base, config.fidelity_table(), target), config.method, context
    )
    made = Checkpoint(result.potential, result.posterior, {"target": target, "method": method})
    return RungCalculator(made, fidelity=target)


def scores(calculator: RungCalculator, frames: Frames, rest: Sequence[Structure], target: str) -> dict[str, Any]:
    """Return what a potential says: of ``rest``, of the path, of its own saddle, and of the test frames.

    ``rest_pull`` is the r.m.s. difference to labels of the target that no fit saw, in units of the errors of both. It
    is 1 where error bars are right.
    """
    labels = [one.labelled(target) for one in rest]
    difference = np.array([energy(calculator, one.atoms.positions) for one in rest]) - [one.energy for one in labels]
    noise = np.nan_to_num([one.energy_stderr for one in labels])
    top, far = path_ends(frames)
    found: dict[str, Any] = {
        "rest_rmse": 1e3 * float(np.sqrt(np.mean(difference**2))),
        "rest_noise": 1e3 * float(np.sqrt(np.mean(noise**2))),
        "saddle": energy(calculator, top.positions) - energy(calculator, far.positions),
        "test_energies": [energy(calculator, one.atoms.positions) for one in frames.test],
        "test_forces": [_forces(calculator, one.atoms).tolist() for one in frames.test],
    }
    if calculator.has_error_bars:
        own = np.array([calculator.get_energy_stderr(one.atoms) for one in rest])
        found["rest_pull"] = float(np.sqrt(np.mean(difference**2 / (own**2 + noise**2))))
        found["saddle_stderr"] = calculator.energy_difference_stderr(top, far)
    relaxed = Saddle.of(calculator)
    imaginary = [one for one in relaxed.wavenumbers if one < 0.0]
    return {
        **found,
        "relaxed": relaxed.barrier,
        "bond": relaxed.bond,
        "imaginary": min(imaginary, default=float("nan")),
        "n_imaginary": float(len(imaginary)),
    }


def judged(row: Mapping[str, Any], frames: Frames) -> dict[str, Any]:
    """Return a row with its errors on the test frames, meV and meV/Å.

    DMC and PBE count energies from another zero than UCCSD(T), so the mean difference is taken out.
    """
    off = np.array(row["test_energies"]) - [one.labelled(CHECK).energy for one in frames.test]
    wrong = np.array(row["test_forces"]) - [one.labelled(CHECK).forces for one in frames.test]
    errors = {
        "energy_std": 1e3 * float(off.std()),
        "force_rmse": 1e3 * float(np.sqrt(np.mean(wrong**2))),
        "mode": -row["imaginary"],
    }
    return {name: value for name, value in row.items() if not name.startswith("test_")} | errors


def path_ends(frames: Frames) -> tuple[Atoms, Atoms]:
    """Return the saddle of the path, and H2 + H."""
    (top,) = (one.atoms for one in frames.path if one.structure_id == "path_050")
    return top, frames.pool[0].atoms


def labelled_barrier(frames: Frames, fidelity: str) -> tuple[float, float]:
    """Return the labels' own barrier along the path and its error, eV; 0 where labels have none."""
    (top,) = (one.labelled(fidelity) for one in frames.path if one.structure_id == "path_050")
    far = frames.pool[0].labelled(fidelity)
    errors = [0.0 if np.isnan(one.energy_stderr) else one.energy_stderr for one in (top, far)]
    return top.energy - far.energy, float(np.hypot(*errors))


def _forces(calculator: Any, atoms: Atoms) -> np.ndarray:
    atoms = atoms.copy()
    atoms.calc = calculator
    return atoms.get_forces()
