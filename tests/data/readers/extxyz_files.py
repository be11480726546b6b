"""Frames of extended XYZ as text, for the tests of readers."""

from pathlib import Path

WATER = """3
Properties=species:S:1:pos:R:3:pbe_forces:R:3 pbe_energy=-14.25 dmc_energy=-467.5 dmc_energy_stderr=0.02 \
structure_id=007 kind=rattled pbc="F F F"
O  0.0  0.0  0.119  0.1  0.2  0.3
H  0.0  0.763 -0.477 -0.1  0.0 -0.1
H  0.0 -0.763 -0.477  0.0 -0.2 -0.2
"""
CRYSTAL = """2
Lattice="0.0 2.7 2.7 2.7 0.0 2.7 2.7 2.7 0.0" Properties=species:S:1:pos:R:3 pbe_energy=-10.8 \
pbe_stress="0.01 0.02 0.03 0.004 0.005 0.006" pbc="T T T"
Si 0.0 0.0 0.0
Si 1.35 1.35 1.35
"""
FILE = (WATER + CRYSTAL + WATER.replace("007", "008").replace("0.119", "0.121")).encode()
"""Three frames."""


def put(folder: Path, text: str | bytes, name: str = "frames.extxyz") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path
