"""Mixing energy of an alloy over its composition, of any model, beside labels.

    python mixing_energy.py ../../benchmarks/testbed/ingan/relaxed.extxyz --labels r2scan --cations In Ga \
        --model base.model pbe --model runs/ingan/model.rung r2scan --trusted --out ingan

E_mix(x) = [E − n x e(1) − n (1 − x) e(0)] / n with n cations, x the share of the first, and e(1), e(0) the energy per
cation of the lowest structure at x = 1 and x = 0 *of the same potential*: the E0 of the elements cancel, so potentials
of different levels of theory can stand side by side. Geometries are those of the file.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from ase import Atoms
from ase.io import read

from rung.errors import DataError, RungError
from rung.tasks.opened import Source, open_calculator
from rung.tasks.reference_energies import reference_energies, stated

mpl.use("Agg")


@dataclass(frozen=True)
class Agreement:
    """How a model's mixing energies agree with the labels': R² about the mean, and mean absolute error, meV/cation."""

    r_squared: float
    mean_absolute_error: float


def composition(atoms: Atoms, cations: tuple[str, str]) -> tuple[float, int]:
    """Return the share of the first cation among both, and their number."""
    counts = [int((np.array(atoms.get_chemical_symbols()) == symbol).sum()) for symbol in cations]
    if sum(counts) == 0:
        raise DataError(f"A structure has neither {cations[0]} nor {cations[1]}; there is {atoms.symbols}.")
    return counts[0] / sum(counts), sum(counts)


def mixing_energies(structures: Sequence[Atoms], energies: Sequence[float], cations: tuple[str, str]) -> np.ndarray:
    """Return the mixing energy of each structure, meV/cation; NaN where its energy is.

    Raises
    ------
    DataError
        When a pure end has no energy, or other elements do not come in one ratio to the cations.
    """
    shares, counts = (np.array(one) for one in zip(*(composition(atoms, cations) for atoms in structures), strict=True))
    per_cation = np.asarray(energies, dtype=float) / counts
    others = {
        tuple(sorted((s, round(c / n, 6)) for s, c in atoms.symbols.formula.count().items() if s not in cations))
        for atoms, n in zip(structures, counts, strict=True)
    }
    if len(others) > 1:
        raise DataError(
            "The structures have other elements in different ratios to the cations, so no mixing is defined."
        )
    ends = []
    for share, symbol in ((0.0, cations[1]), (1.0, cations[0])):
        found = per_cation[(shares == share) & np.isfinite(per_cation)]
        if not found.size:
            raise DataError(f"There is no energy of a structure with {symbol} alone, which mixing is counted from.")
        ends.append(found.min())
    return np.asarray(1000.0 * (per_cation - (1 - shares) * ends[0] - shares * ends[1]))


def agreement(found: np.ndarray, labels: np.ndarray, shares: np.ndarray) -> Agreement:
    """Compare the structures between the ends, whose mixing energy is not zero by definition."""
    between = (shares > 0) & (shares < 1) & np.isfinite(found) & np.isfinite(labels)
    if between.sum() < 2:
        raise DataError("There are fewer than two labelled structures between the ends to compare with.")
    error = found[between] - labels[between]
    scatter = labels[between] - labels[between].mean()
    return Agreement(float(1 - (error @ error) / (scatter @ scatter)), float(np.abs(error).mean()))


def labelled_energies(structures: Sequence[Atoms], fidelity: str) -> np.ndarray:
    """Return ``<fidelity>_energy`` of each structure, eV, NaN where absent."""
    energies = np.array([float(atoms.info.get(f"{fidelity}_energy", np.nan)) for atoms in structures])
    if not np.isfinite(energies).any():
        raise DataError(f"No structure has the label {fidelity}_energy.")
    return energies


def draw(path: Path, shares: np.ndarray, series: dict[str, np.ndarray], labels: str) -> None:
    """Draw every structure's mixing energy, and a line through the lowest at each composition."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for name, values in series.items():
        style = {"color": "#1f2733", "marker": "s"} if name == labels else {"marker": "o", "alpha": 0.8}
        known = np.isfinite(values)
        points = axes.scatter(shares[known], values[known], label=name, s=22, **style)
        at = sorted(set(shares[known]))
        axes.plot(at, [values[known][shares[known] == x].min() for x in at], color=points.get_facecolor()[0][:3], lw=1)
    axes.set(xlabel="x", ylabel="mixing energy, meV/cation")
    axes.legend()
    figure.savefig(path, dpi=160)
    plt.close(figure)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    said = argparse.ArgumentParser(description="Mixing energy over composition, of models beside labels.")
    said.add_argument("structures", type=Path, help="structures with labels, both pure ends among them")
    said.add_argument("--labels", required=True, metavar="FIDELITY", help="the fidelity of the reference")
    said.add_argument(
        "--cations", nargs=2, default=("In", "Ga"), metavar=("FIRST", "SECOND"), help="x counts the first"
    )
    said.add_argument("--model", nargs=2, action="append", default=[], metavar=("MODEL", "FIDELITY"), help="repeatable")
    said.add_argument("--trusted", action="store_true", help="model files may run code while they load")
    said.add_argument("--out", type=Path, default=Path("mixing_energy"), help="folder of table and figure")
    return said


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, write it with the figure, and return the exit code."""
    given = parser().parse_args(arguments)
    try:
        structures = read(given.structures, index=":")
        cations = tuple(given.cations)
        shares = np.array([composition(atoms, cations)[0] for atoms in structures])
        labels = mixing_energies(structures, labelled_energies(structures, given.labels), cations)
        series = {f"{given.labels} labels": labels}
        print(
            f"{len(structures)} structures; mixing energies in meV/cation, counted from the ends of the same potential."
        )
        print(f"{'potential':<44} {'R²':>7} {'MAE':>7}")
        for file, fidelity in given.model:
            potential = open_calculator(Source(model=file, trusted=given.trusted), fidelity)
            energies = [float(potential.calculator.get_potential_energy(atoms)) for atoms in structures]
            name = f"{'/'.join(Path(file).parts[-2:])} {fidelity}"
            if name in series:
                raise DataError(f"Two models are called {name}; put them into folders of different names.")
            series[name] = mixing_energies(structures, energies, cations)
            found = agreement(series[name], labels, shares)
            print(f"{name:<44} {found.r_squared:7.3f} {found.mean_absolute_error:7.2f}")
            references = reference_energies(potential, {symbol for atoms in structures for symbol in atoms.symbols})
            print(f"  {stated(references)} They cancel here.")
    except RungError as error:
        print(f"mixing_energy: {error}", file=sys.stderr)
        return 2
    given.out.mkdir(parents=True, exist_ok=True)
    draw(given.out / "mixing_energy.png", shares, series, f"{given.labels} labels")
    with (given.out / "mixing_energy.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["x", *series])
        writer.writerows(zip(shares, *series.values(), strict=True))
    print(f"Wrote {given.out / 'mixing_energy.png'} and mixing_energy.csv.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
