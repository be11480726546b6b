"""Data of the doctor's tests: the testbed, molecules of two fidelities, and an alloy with exact labels."""

import pytest

from rung.data.readers.structures import read_structures
from rung.data.splits import formula, grouped_split
from rung.demo_data import folder
from tests.doctor.analytic import alloy


@pytest.fixture(scope="session")
def mos2():
    path = folder("mos2")
    train = read_structures(path / "train.extxyz")[:150]
    return {"train": train, "test": read_structures(path / "test.extxyz")[:60]}


@pytest.fixture(scope="session")
def reactive():
    structures = read_structures(folder("pm6-dft") / "frames.extxyz")[:600]
    return grouped_split(structures, {"train": 0.6, "test": 0.4}, 0, key=formula)


@pytest.fixture(scope="session")
def nickel():
    return {"train": alloy(0, 24, "train"), "test": alloy(1, 12, "test")}
