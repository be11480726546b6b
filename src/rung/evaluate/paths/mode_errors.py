"""What the error bars of energies say of harmonic modes, to first order in the fitted weights.

The curvature along a mode and the force along it are differences of energies of displaced structures, so whoever knows
how uncertain energies are together knows how uncertain these are. Two things change a curvature: the energies where the
atoms stand, and the shift of the stationary point, which an anharmonic surface turns into another curvature.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from ase import Atoms

from rung.data.labels import Array
from rung.evaluate.error_bars import Bar
from rung.evaluate.paths.vibrations import QUANTUM, Vibrations
from rung.progress import SILENT, Progress

REACH = 0.05
"""Å; how far the atom that a mode moves most is displaced: little enough for a parabola, much for float32."""


class SmoothErrorBars(Protocol):
    """What the fit of a potential left of the errors of energies of structures that differ little."""

    def smooth_combinations(self, structures: Sequence[Atoms], coefficients: Array) -> tuple[Bar, ...]:
        """Return the error of each Σ c E, a row of ``coefficients`` of shape ``(Q, S)`` each.

        The total holds the smooth part of the model's own error, and not the rough part: that is one of whole
        environments, and nobody knows how it bends within one.
        """


@dataclass(frozen=True)
class ModeErrors:
    """The one-sigma errors of modes.

    Parameters
    ----------
    quanta
        Of ħω of each mode, eV.
    zero_point_energy
        Of half a quantum of all modes that are not imaginary, eV; errors of modes are not independent.
    """

    quanta: tuple[Bar, ...]
    zero_point_energy: Bar


def mode_errors(
    atoms: Atoms,
    modes: Vibrations,
    calculator: Any,
    error_bars: SmoothErrorBars,
    *,
    stationary: bool,
    progress: Progress = SILENT,
) -> ModeErrors:
    """Return the errors of the modes of ``atoms``, to first order.

    Parameters
    ----------
    atoms
        Where the modes were found.
    modes
        Of it.
    calculator
        An ASE calculator of the same potential: it says how anharmonic the surface is.
    error_bars
        Of that potential.
    stationary
        Whether the structure is the potential's own stationary point, which moves with the weights; a geometry that
        somebody gave stays.
    progress
        Where displacements are reported.
    """
    cartesian = modes.modes / np.sqrt(atoms.get_masses())[None, :, None]
    steps = REACH / np.linalg.norm(cartesian, axis=2).max(axis=1)
    images = _displaced(atoms, cartesian, steps)
    count = len(steps)
    first, second = np.zeros((2, count, 2 * count + 1))
    rows = np.arange(count)
    first[rows, 1 + rows], first[rows, 1 + count + rows] = 0.5 / steps, -0.5 / steps
    second[rows, 1 + rows] = second[rows, 1 + count + rows] = 1.0 / steps**2
    second[:, 0] = -2.0 / steps**2
    if stationary:
        second -= _response(images, cartesian, steps, modes, calculator, progress) @ first
    # ħω = q √κ, so its change is that of κ times q² / 2ħω; a mode without curvature has no error of first order
    with np.errstate(divide="ignore"):
        slopes = QUANTUM**2 / (2.0 * np.abs(modes.quanta))
    soft = ~np.isfinite(slopes)
    slopes[soft] = 0.0
    real = (modes.quanta > 0).astype(float)
    wanted = np.vstack([slopes[:, None] * second, 0.5 * (real * slopes) @ second])
    *quanta, zero_point = error_bars.smooth_combinations(images, wanted)
    unknown = Bar(np.inf, np.inf)
    return ModeErrors(
        tuple(unknown if flat else bar for bar, flat in zip(quanta, soft, strict=True)),
        unknown if soft.any() else zero_point,
    )


def _displaced(atoms: Atoms, cartesian: Array, steps: Array) -> list[Atoms]:
    """Return the structure, then its displacements along all modes, then those against them."""
    images = [atoms.copy()]
    for way in (1.0, -1.0):
        for along, step in zip(cartesian, steps, strict=True):
            image = atoms.copy()
            image.set_constraint()
            image.positions += way * step * along
            images.append(image)
    return images


def _response(
    images: Sequence[Atoms], cartesian: Array, steps: Array, modes: Vibrations, calculator: Any, progress: Progress
) -> Array:
    """Return by how much the curvature of each mode falls for a unit force along each other, shape ``(M, M)``.

    A change g of the gradient along mode j moves the minimum by -g/κ, and the curvature of mode k by the third
    derivative times that. Where a mode is too soft to be one, nobody can say how far it moves.
    """
    forces = np.empty((len(images), *cartesian.shape[1:]))
    with progress.task("anharmonicity", len(images)) as task:
        for row, image in zip(forces, images, strict=True):
            row[:] = calculator.get_forces(image)
            task.advance()
    along = np.einsum("ina,jna->ij", forces, cartesian, optimize=True)
    count = len(steps)
    third = -(along[1 : 1 + count] + along[1 + count :] - 2.0 * along[0]) / steps[:, None] ** 2
    curvature = np.sign(modes.quanta) * (modes.quanta / QUANTUM) ** 2
    firm = np.abs(modes.quanta) > modes.floor
    return np.where(firm, third / np.where(firm, curvature, 1.0), 0.0)
