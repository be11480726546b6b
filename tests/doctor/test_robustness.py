"""Whatever the labels hold, the doctor answers: it is there for bad data."""

import numpy as np
from ase import Atoms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rung.data.labels import Labels
from rung.data.readers.structures import read_structures, write_structures
from rung.data.structure import Structure
from rung.doctor import diagnose
from rung.errors import RungError
from tests.doctor.analytic import Morse, alloy

anything = st.one_of(st.floats(), st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e300, -1e-300]))


@st.composite
def odd_structures(draw):
    n = draw(st.integers(1, 3))
    shape = (n, 3)

    def values(*size):
        count = int(np.prod(size))
        return np.array(draw(st.lists(anything, min_size=count, max_size=count))).reshape(size)

    place = st.lists(st.floats(-20, 20), min_size=3 * n, max_size=3 * n)
    positions = np.array(draw(place)).reshape(shape)
    periodic = draw(st.booleans())
    cell = np.diag(draw(st.lists(st.floats(0.5, 9.0), min_size=3, max_size=3))) if periodic else None
    atoms = Atoms(numbers=draw(st.lists(st.sampled_from([1, 13, 28, 94]), min_size=n, max_size=n)), positions=positions)
    if periodic:
        atoms.set_cell(cell)
        atoms.pbc = True
    labels = {
        name: Labels(draw(anything), draw(anything), values(*shape), values(*shape), values(6))
        for name in draw(st.sets(st.sampled_from(["cheap", "dear"])))
    }
    return Structure(atoms, draw(st.sampled_from("abcdef")), labels)


@settings(max_examples=40, deadline=None)
@given(st.lists(odd_structures(), max_size=6), st.lists(odd_structures(), max_size=3), st.booleans())
def test_odd_labels_are_diagnosed(train, test, with_base):
    options = {"base": Morse(), "base_fidelity": "cheap"} if with_base else {}
    diagnosis = diagnose({"train": train, "test": test}, target="dear", **options)
    for finding in diagnosis.findings:
        assert finding.sentence and "\n" not in finding.sentence
    diagnosis.as_json()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_files_are_refused_or_diagnosed(tmp_path, data):
    path = tmp_path / "damaged.extxyz"
    write_structures(path, alloy(3, 4, "frame"))
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=5)):
        content[place] = data.draw(st.sampled_from(b"0123456789.- eEnN\n"))
    path.write_bytes(bytes(content))
    try:
        structures = read_structures(path)
    except RungError:
        return
    diagnose({"train": structures}, target="dear", base=Morse(), base_fidelity="cheap")
