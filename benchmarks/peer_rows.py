"""What comparisons with an engine's own fine-tuning share: numbers kept by draw and method, and their table."""

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator

from rung.data.structure import Structure
from rung.storage import read_json, write_json

Numbers = Mapping[str, float]
"""``energy``, meV/atom, ``forces``, meV/Å, and ``seconds`` of a processor."""


def errors(calculator: Calculator, test: Sequence[Structure], fidelity: str) -> dict[str, float]:
    """Return root mean square errors of a calculator, meV/atom and meV/Å."""
    energies, forces = [], []
    for one in test:
        atoms, truth = one.atoms.copy(), one.labels[fidelity]
        atoms.calc = calculator
        energies.append(1000 * (atoms.get_potential_energy() - truth.energy) / len(atoms))
        forces.append(1000 * (atoms.get_forces() - truth.forces))
    return {"energy": _rms(energies), "forces": _rms(forces)}


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def spent() -> float:
    """Return CPU seconds of this process and of those that it started."""
    mine, theirs = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime


def kept(place: Path, name: str, make: Callable[[], Path], judge: Callable[[Path], Numbers]) -> Numbers:
    """Return the numbers of a method on a draw, which are made where the folder of the draw does not have them."""
    file = place / f"{name}.json"
    if not file.exists():
        start = spent()
        made = make()
        seconds = spent() - start
        write_json(file, {**judge(made), "seconds": seconds})
        print(time.strftime("%H:%M"), place.name, name, read_json(file), flush=True)
    numbers: Numbers = read_json(file)
    return numbers


def table(said: str, rows: Mapping[str, Sequence[Numbers]], told: Mapping[str, str]) -> str:
    """Return the rows as Markdown, below a sentence: means, and standard deviations between draws."""

    def shown(one: Sequence[Numbers], key: str, digits: int) -> str:
        values = [each[key] for each in one if key in each]
        if not values:
            return "–"
        mean = f"{np.mean(values):.{digits}f}"
        return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.{digits}f}"

    lines = [
        said,
        "",
        "| method | draws | energy, meV/atom | forces, meV/Å | CPU seconds | what it was told |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for name, one in rows.items():
        cells = [shown(one, "energy", 1), shown(one, "forces", 0), shown(one, "seconds", 0)]
        lines.append(f"| {name} | {len(one)} | " + " | ".join(cells) + f" | {told.get(name, '–')} |")
    return "\n".join(lines) + "\n"
