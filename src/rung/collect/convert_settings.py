"""What ``rung convert`` is told; a module of its own, for it needs no numpy."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from rung.collect.units import EnergyUnit, LengthUnit, StressUnit
from rung.settings import Option, Settings


class ConvertSettings(Settings):
    """Which files become which labels."""

    paths: Annotated[tuple[Path, ...], Option(positional=True)] = ()
    """Files of structures: any that ASE reads, npz, or HDF5."""
    out: Path
    """The extended XYZ to write; a file that is there is not replaced."""
    fidelity: str
    """What the labels are called, such as pbe."""
    keys: Annotated[dict[str, str], Option(form="meaning=name")] = Field(default={})
    """What files call energy, forces or gradient, stress, pressure or virial, and structure_id, and arrays also
    numbers, positions and cell. By default what ASE's reader of the format gives."""
    energy_unit: EnergyUnit | None = None
    """Of the labels under --keys, a virial among them; needed with these."""
    length_unit: LengthUnit | None = None
    """Of positions in arrays, and of forces under --keys; needed with these."""
    stress_unit: StressUnit | None = None
    """Of a stress or a pressure under --keys; needed with one. A positive stress pulls the cell together, as in ASE; a
    pressure is less the stress, and a virial less the stress times the volume, in the unit of energies."""
