"""Files for other engines: converted by the backend, compared with rung before they are left in place."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np
import torch
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from rung.backends.cards import attach
from rung.data.batch import collate
from rung.data.labels import Array
from rung.data.structure import Structure
from rung.errors import ModelError, counted
from rung.model.potential import ReadoutPotential
from rung.results.origin import Card
from rung.storage import atomic_path, write_text
from rung.units import MILLI


class Evaluation(Protocol):
    """What computes energies and forces with a converted file, as the engine would."""

    def __call__(self, file: Path, structures: Sequence[Atoms]) -> tuple[list[float], list[Array]]:
        """Return the energy, eV, and the forces, eV/Å, shape ``(n, 3)``, of each structure."""


@dataclass(frozen=True)
class Route:
    """One engine that runs models of a backend.

    Parameters
    ----------
    name
        What a user types.
    engine
        What it is, for people.
    suffix
        Of its files, with the dot.
    refusal
        Why a native file would lose something on this way; empty where it would not.
    convert
        Makes the converted file of a native one.
    evaluate
        Computes with the converted file.
    script
        An input of the engine, of the name of the file and the elements in its order.
    energy, force
        By how much the file may differ from rung, eV/atom and eV/Å, apart from the rounding of its numbers.
    runs_in
        The type of its numbers; None where it is that of the potential.
    """

    name: str
    engine: str
    suffix: str
    refusal: Callable[[Path], str]
    convert: Callable[[Path, Path], None]
    evaluate: Evaluation
    script: Callable[[str, Sequence[str]], str]
    energy: float
    force: float
    runs_in: torch.dtype | None = None


@dataclass(frozen=True)
class Converted:
    """A file for another engine.

    Parameters
    ----------
    file, script
        What was written.
    energy, force
        The largest difference from rung on the structures, eV/atom and eV/Å.
    n_structures
        How many were compared.
    """

    file: Path
    script: Path
    energy: float
    force: float
    n_structures: int


def convert(
    route: Route,
    native: Path,
    out: Path,
    *,
    potential: ReadoutPotential,
    structures: Sequence[Atoms],
    card: Card,
) -> Converted:
    """Write a native file for another engine, and an input script beside it, if both give rung's energies and forces.

    Parameters
    ----------
    route
        The way.
    native
        The file that the backend wrote.
    out
        The file to write.
    potential
        What the native file was exported from, in the type of its numbers.
    structures
        Where to compare.
    card
        What the file says of itself.

    Raises
    ------
    ModelError
        When the way loses something of the model, or energies or forces differ; nothing is left then.
    MissingExtraError
        When a package of the engine is not installed.
    """
    if reason := route.refusal(native):
        raise ModelError(reason)
    with TemporaryDirectory(prefix="rung-") as folder:
        made = Path(folder) / out.name
        route.convert(native, made)
        attach(made, card.model_copy(update={"route": route.name}))
        energy, force = _differences(route, made, potential, card.fidelity, structures)
        with atomic_path(out) as temporary:
            shutil.copyfile(made, temporary)
    script = script_of(route, out)
    write_text(script, route.script(out.name, tuple(card.reference_energies)))
    return Converted(out, script, energy, force, len(structures))


def script_of(route: Route, file: Path) -> Path:
    """Return the name of the script beside a converted file."""
    return file.with_name(file.name.removesuffix(route.suffix) + f".{route.name}.in")


def _differences(
    route: Route, file: Path, potential: ReadoutPotential, fidelity: str, structures: Sequence[Atoms]
) -> tuple[float, float]:
    """Return the largest differences in energies, eV/atom, and forces, eV/Å; raise where they are too large."""
    energies, forces = route.evaluate(file, structures)
    rows = [Structure(atoms, str(index), {}) for index, atoms in enumerate(structures)]
    largest = max(abs(value) for value in potential.surface(fidelity).reference.energies.values())
    coarsest = max(torch.finfo(dtype).eps for dtype in (potential.dtype, route.runs_in) if dtype is not None)
    rounding = 8.0 * coarsest * (1.0 + largest)
    own = [
        potential.predict(collate([row], [fidelity], potential.cutoff, dtype=potential.dtype), forces=True)
        for row in rows
    ]
    # numpy's largest of numbers and NaN is NaN, which passes no comparison; Python's may be the number
    energy_error = float(
        np.max([abs(e - float(p.energy[0])) / len(r) for e, p, r in zip(energies, own, rows, strict=True)])
    )
    force_error = float(np.max([np.abs(f - np.asarray(p.forces)).max() for f, p in zip(forces, own, strict=True)]))
    if not (energy_error <= route.energy + rounding and force_error <= route.force + 100.0 * rounding):
        raise ModelError(
            f"The file converted for {route.engine} differs from rung by {MILLI * energy_error:.3g} meV/atom and "
            f"{MILLI * force_error:.3g} meV/Å on {counted(len(structures), 'structure')}, so it was not kept; use the "
            "native file."
        )
    return energy_error, force_error


def run_converter(library: str, module: str, words: Sequence[str], made: Path) -> None:
    """Run a library's own converter in the folder of the file that it makes.

    Parameters
    ----------
    library
        Whose it is, for messages.
    module, words
        What Python runs.
    made
        The file that must be there afterwards.

    Raises
    ------
    ModelError
        With the end of what it said, when there is no file.
    """
    done = subprocess.run(  # noqa: S603 - this Python, a module of the library, and a file that rung wrote
        [sys.executable, "-W", "ignore", "-m", module, *words],
        cwd=made.parent,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode or not made.is_file():
        reason = " ".join((done.stderr or done.stdout).split())[-300:] or "it wrote no file"
        raise ModelError(f"{library}'s own converter {module} failed: …{reason}")


_HEAD = """# {purpose}
# Elements by type of atom: {elements}. Energies in eV, forces in eV/Å; total energies hold E0.
units           metal
atom_style      atomic
atom_modify     map yes
newton          on
boundary        p p p
read_data       structure.data   # of ASE: write("structure.data", atoms, format="lammps-data", specorder=[...])
{pair}
{masses}
timestep        0.0005           # ps
thermo          10
thermo_style    custom step temp pe etotal press
velocity        all create 300 4711 mom yes rot yes
fix             1 all nve
run             100
"""


def lammps_input(purpose: str, *pair: str) -> Callable[[str, Sequence[str]], str]:
    """Return an input of LAMMPS as :class:`Route` has it.

    Parameters
    ----------
    purpose
        What LAMMPS must have, in one sentence.
    pair
        The lines of the pair style, with places ``{file}`` and ``{elements}``.
    """

    def script(name: str, elements: Sequence[str]) -> str:
        lines = "\n".join(pair).format(file=name, elements=" ".join(elements))
        masses = "\n".join(
            f"mass            {kind} {atomic_masses[atomic_numbers[element]]:.6g}"
            for kind, element in enumerate(elements, start=1)
        )
        return _HEAD.format(purpose=purpose, elements=" ".join(elements), pair=lines, masses=masses)

    return script
