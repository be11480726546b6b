"""Bands that stay as they are: what potentials say along them, and single energies of a target beside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from rung.data.labels import ENERGY, ENERGY_STDERR, Array, Labels
from rung.data.readers.structures import complete_atoms, place_of, read_structures, require_matter
from rung.data.structure import Structure
from rung.errors import ConfigError, DataError
from rung.evaluate.paths.band import StaticBarrier, static_barrier
from rung.evaluate.paths.noisy_band import NoisyBarrier, noisy_barrier
from rung.results.barrier import Curve
from rung.results.barrier_task import Points, TaskBarrier, TaskPanel
from rung.tasks.domain import Evidence, judged
from rung.tasks.opened import Opened


def along(images: Sequence[Atoms], potentials: Mapping[str, Opened]) -> dict[str, StaticBarrier]:
    """Return what each potential says along a band as it is, with its error bars."""
    for potential in potentials.values():
        potential.check_state(*images)
    return {
        name: static_barrier(images, potential.calculator, error_bars=potential.error_bars)
        for name, potential in potentials.items()
    }


@dataclass(frozen=True)
class FixedBand:
    """A band in a file, read before anything is computed.

    Parameters
    ----------
    path
        The file.
    structures
        Its images.
    target
        The fidelity of the energies that they carry; empty where none is asked for.
    """

    path: Path
    structures: tuple[Structure, ...]
    target: str = ""

    @property
    def images(self) -> list[Atoms]:
        """The images with all that the file says of them."""
        return [complete_atoms(structure) for structure in self.structures]

    @property
    def labels(self) -> list[Labels]:
        """The labels of ``target``."""
        return [structure.labelled(self.target) for structure in self.structures]


def read_band(path: Path) -> FixedBand:
    """Read the images of a band.

    Raises
    ------
    DataError
        When the file cannot be used.
    """
    return FixedBand(path, tuple(require_matter(structure) for structure in read_structures(path)))


def read_labelled_band(path: Path, target: str | None) -> FixedBand:
    """Read a band with an energy and an error of ``target`` at each image.

    Raises
    ------
    ConfigError
        When no target is named.
    DataError
        When an image has no energy, or no positive error; the message names it.
    """
    if target is None:
        raise ConfigError(f"Name the fidelity of the energies in {path} with --target.")
    structures = read_structures(path, fidelities=[target])
    band = FixedBand(path, tuple(require_matter(structure) for structure in structures), target)
    for structure, labels in zip(band.structures, band.labels, strict=True):
        for suffix, value in ((ENERGY, labels.energy), (ENERGY_STDERR, labels.energy_stderr)):
            if not np.isfinite(value):
                raise DataError(f"{place_of(structure)}: every image of a noisy band needs {target}{suffix}.")
    return band


def static_panel(band: FixedBand, potentials: Mapping[str, Opened], evidence: Sequence[Evidence] = ()) -> TaskPanel:
    """Return a panel of ``barrier.json``: what each potential says along the band in a file."""
    path, bands = band.path, along(band.images, potentials)
    return TaskPanel(
        title=f"Along {path.name} as it is",
        kind="fixed",
        curves=tuple(band.curve(name) for name, band in bands.items()),
        barriers=_judged(bands, potentials, evidence, path),
        notice="",
    )


def target_panel(band: FixedBand, potentials: Mapping[str, Opened], evidence: Sequence[Evidence] = ()) -> TaskPanel:
    """Return a panel of ``barrier.json``: a band with energies of its target, and the potentials along it.

    The barrier of the energies themselves stands there as their highest, with by how much that is too high, and as the
    maximum of a smooth curve, with and without the shape that a potential gives to the band.
    """
    path, target = band.path, band.target
    energies = np.array([label.energy for label in band.labels])
    errors = np.array([label.energy_stderr for label in band.labels])
    bands = along(band.images, potentials)
    coordinate = next(iter(bands.values())).coordinate
    smooth = noisy_barrier(coordinate, energies, errors)
    name = f"{target} energies"
    return TaskPanel(
        title=f"{name} along {path.name}",
        kind="energies",
        curves=(
            *(band.curve(name) for name, band in bands.items()),
            Curve(name=f"{name}, smooth", coordinate=coordinate, energies=smooth.curve),
        ),
        points=Points(name=name, coordinate=coordinate, energies=smooth.points, stderr=errors),
        barriers=(
            *_judged(bands, potentials, evidence, path),
            _highest(name, smooth),
            _fitted(f"{name}, smooth curve", smooth),
            *_on_shapes(name, bands, energies, errors),
        ),
        notice="",
    )


def _judged(
    bands: Mapping[str, StaticBarrier], potentials: Mapping[str, Opened], evidence: Sequence[Evidence], path: Path
) -> tuple[TaskBarrier, ...]:
    return tuple(judged(band.entry(name), band, potentials[name], evidence, path) for name, band in bands.items())


def _on_shapes(
    name: str, bands: Mapping[str, StaticBarrier], energies: Array, errors: Array
) -> tuple[TaskBarrier, ...]:
    return tuple(
        _fitted(
            f"{name} on the shape of {fidelity}",
            noisy_barrier(next(iter(bands.values())).coordinate, energies, errors, shape=band.energies),
        )
        for fidelity, band in bands.items()
    )


def _highest(name: str, noisy: NoisyBarrier) -> TaskBarrier:
    return TaskBarrier(
        name=f"{name}, highest",
        value=noisy.highest,
        stderr=np.nan,
        stderr_total=noisy.highest_stderr,
        reaction=float(noisy.points[-1] - noisy.points[0]),
        bias=noisy.bias,
        notes=(
            f"The highest of noisy energies is too high on average, here by {noisy.bias:.3f} eV: {noisy.highest:.3f} "
            f"becomes {noisy.highest - noisy.bias:.3f} eV.",
        ),
    )


def _fitted(name: str, noisy: NoisyBarrier) -> TaskBarrier:
    scatter = (
        f"The energies scatter about the curve of {name} more than their errors say (χ² {noisy.chi2:.1f} per "
        "degree of freedom)."
    )
    return TaskBarrier(
        name=name,
        value=noisy.fitted,
        stderr=np.nan,
        stderr_total=noisy.fitted_stderr,
        reaction=float(noisy.curve[-1]),
        bias=noisy.fitted_bias,
        degree=noisy.degree,
        chi2=noisy.chi2,
        notes=(scatter,) if noisy.chi2 > 3 else (),
    )
