"""Geometries of twelve small molecules of H, C, N and O: around each minimum, along five paths, and around these.

Everything here stands on GFN2-xTB, so it takes seconds. Geometry number k of a molecule has a random stream of its
own: asking for more of them changes none of those before.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.constraints import FixAtoms, FixedLine, FixedPlane, FixInternals
from ase.optimize import BFGS
from levels import Level

from rung.evaluate.paths.vibrations import QUANTUM, vibrations

HIGHEST = 3.5
"""eV above the lowest minimum of a molecule: geometries of a higher GFN2 energy are not taken; HNC is behind 3.1 eV."""

SPREAD = 2.0
"""eV: the harmonic energy of a geometry is drawn between nothing and this, per minimum."""

RATTLE = (0.02, 0.10)
"""Å: standard deviations of Cartesian shifts from a point of a path, drawn between these."""

MINIMA: dict[str, tuple[Atoms, ...]] = {
    "H2O": (molecule("H2O"),),
    "NH3": (molecule("NH3"),),
    "CH4": (molecule("CH4"),),
    "HCN": (molecule("HCN"), Atoms("CNH", [[0, 0, 0], [1.17, 0, 0], [2.17, 0, 0]])),
    "C2H2": (molecule("C2H2"),),
    "CH2O": (molecule("H2CO"),),
    "CH2NH": (Atoms("CNHHH", [[0, 0, 0], [1.27, 0, 0], [-0.5, 0.95, 0], [-0.6, -0.9, 0], [1.65, 0.95, 0]]),),
    "HNO": (Atoms("NOH", [[0, 0, 0], [1.2, 0, 0], [-0.33, 1.0, 0]]),),
    "H2O2": (molecule("H2O2"),),
    "HONO": (
        Atoms("NOOH", [[0, 0, 0], [1.17, 0, 0], [-0.5, 1.3, 0], [-1.45, 1.2, 0]]),
        Atoms("NOOH", [[0, 0, 0], [1.19, 0, 0], [-0.55, 1.28, 0], [0.2, 1.9, 0]]),
    ),
    "CH3OH": (molecule("CH3OH"),),
    "HNCO": (Atoms("CNOH", [[0, 0, 0], [-1.21, 0, 0], [1.17, 0, 0], [-1.8, 0.8, 0]]),),
}
"""Guesses of the minima of each molecule: both isomers of HCN, and both conformers of HONO."""


def relaxed(atoms: Atoms, level: str, fmax: float = 0.005) -> Atoms:
    """Return a molecule relaxed on a level of theory, with what its constraints hold."""
    result = atoms.copy()
    result.calc = Level(level)
    if not BFGS(result, logfile=None, maxstep=0.05).run(fmax=fmax, steps=300):
        raise RuntimeError(f"{atoms.symbols} did not relax on {level}.")
    return result


@cache
def minima(name: str) -> tuple[tuple[Atoms, np.ndarray, np.ndarray], ...]:
    """Return each GFN2 minimum of a molecule with its quanta, eV, and its mass-weighted modes."""
    results = []
    for guess in MINIMA[name]:
        atoms = relaxed(guess, "gfn2")
        modes = vibrations(atoms, Level("gfn2"))
        if modes.n_imaginary:
            raise RuntimeError(f"A minimum of {name} has an imaginary mode.")
        results.append((atoms, modes.quanta, modes.modes))
    return tuple(results)


def umbrella(height: float, start: Atoms) -> Atoms:  # noqa: ARG001 - one signature
    """Return ammonia, N at ``height`` above the plane of H, Å, ready to relax within that plane."""
    turns = 2 * np.pi * np.arange(3) / 3
    hydrogen = np.column_stack((np.cos(turns), np.sin(turns), np.zeros(3)))
    atoms = Atoms("NH3", [[0.0, 0.0, height], *hydrogen])
    atoms.set_constraint([FixAtoms([0]), FixedPlane([1, 2, 3], (0, 0, 1))])
    return atoms


def migration(angle: float, start: Atoms) -> Atoms:  # noqa: ARG001 - one signature
    """Return HCN, its H on a ray from the middle of C and N; ``angle`` is 0 at HCN and 180 at HNC, degrees."""
    ray = np.array([-np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle)), 0.0])
    middle = np.array([0.58, 0.0, 0.0])
    distance = 1.15 + 0.5 * abs(np.cos(np.deg2rad(angle)))
    atoms = Atoms("CNH", [[0.0, 0.0, 0.0], [1.17, 0.0, 0.0], middle + distance * ray])
    atoms.set_constraint([FixAtoms([0]), FixedLine([1], (1, 0, 0)), FixedLine([2], ray)])
    return atoms


def torsion(indices: tuple[int, int, int, int], turning: tuple[int, ...]) -> Callable[[float, Atoms], Atoms]:
    """Return what turns a molecule to a dihedral angle, degrees, and holds that."""

    def turned(angle: float, start: Atoms) -> Atoms:
        atoms = start.copy()
        atoms.set_constraint()
        atoms.set_dihedral(*indices, angle, indices=list(turning))
        atoms.set_constraint(FixInternals(dihedrals_deg=[[angle, list(indices)]]))
        return atoms

    return turned


PATHS: dict[str, tuple[Callable[[float, Atoms], Atoms], tuple[float, ...]]] = {
    "NH3": (umbrella, (0.0, 0.07, 0.14, 0.21, 0.28, 0.35, 0.42, 0.49)),
    "HCN": (migration, tuple(float(angle) for angle in range(0, 181, 15))),
    "H2O2": (torsion((2, 0, 1, 3), (3,)), tuple(float(angle) for angle in range(0, 181, 15))),
    "HONO": (torsion((1, 0, 2, 3), (3,)), tuple(float(angle) for angle in range(0, 181, 15))),
    "CH3OH": (torsion((3, 1, 0, 2), (2, 4, 5)), tuple(float(angle) for angle in range(180, 59, -20))),
}
"""What puts a molecule at each value of its coordinate, and the values: Å for the umbrella, degrees for the others."""


@cache
def path(name: str, level: str, fmax: float = 0.005) -> tuple[Atoms, ...]:
    """Return the points of a path, everything but its coordinate relaxed on a level of theory to ``fmax``, eV/Å."""
    place, values = PATHS[name]
    points: list[Atoms] = []
    previous = minima(name)[0][0]
    for value in values:
        previous = relaxed(place(value, previous), level, fmax)
        points.append(previous)
    return tuple(points)


def displaced(name: str, random: np.random.Generator) -> Atoms:
    """Return a minimum moved along all its modes, each by its share of a random harmonic energy.

    The way of ANI (Smith, Isayev and Roitberg, doi:10.1039/C6SC05720A): the energy is shared at random, and each sign
    is drawn.
    """
    choices = minima(name)
    atoms, quanta, modes = choices[random.integers(len(choices))]
    energies = random.uniform(0.0, SPREAD) * random.dirichlet(np.ones(len(quanta)))
    # a mode of one quantum E moves by sqrt(2 energy) / omega, in mass-weighted units of Å sqrt(amu)
    amplitudes = random.choice([-1.0, 1.0], len(quanta)) * np.sqrt(2.0 * energies) * QUANTUM / quanta
    moved = atoms.positions + np.tensordot(amplitudes, modes, 1) / np.sqrt(atoms.get_masses())[:, None]
    return Atoms(atoms.numbers, moved)


def rattled(name: str, random: np.random.Generator) -> Atoms:
    """Return a point of the GFN2 path of a molecule with random Cartesian shifts."""
    points = path(name, "gfn2")
    atoms = points[random.integers(len(points))]
    return Atoms(atoms.numbers, atoms.positions + random.normal(0.0, random.uniform(*RATTLE), atoms.positions.shape))


def geometry(name: str, number: int) -> Atoms:
    """Return geometry ``number`` of a molecule: the odd ones are near its path where it has one."""
    random = np.random.default_rng([14, list(MINIMA).index(name), number])
    make, kind = (rattled, "path") if name in PATHS and number % 2 else (displaced, "modes")
    lowest = min(atoms.get_potential_energy() for atoms, _, _ in minima(name))
    calculator = Level("gfn2")
    while True:
        atoms = make(name, random)
        atoms.calc = calculator
        if atoms.get_potential_energy() - lowest < HIGHEST:
            atoms.calc = None
            atoms.info = {"structure_id": f"{name}_{kind}_{number:03d}", "molecule": name}
            return atoms


def geometries(name: str, number: int) -> list[Atoms]:
    """Return the first geometries of a molecule, each with a ``structure_id`` and the name of the molecule."""
    return [geometry(name, one) for one in range(number)]
