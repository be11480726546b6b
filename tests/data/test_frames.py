"""Streamed structures are those that reading gives, in every order, and only while the files stay as they are."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from rung.data.frames import StreamedStructures, names_of, places_labelled_by, select, stream_structures
from rung.data.readers.structures import read_structures, reading_of
from rung.data.splits import without_labels
from rung.data.structure import Structure
from rung.errors import DataError


def written(folder: Path, count: int = 40) -> list[Path]:
    """Write two files of frames, the second without a last line end, and one of HDF5."""
    generator = np.random.default_rng(1)
    texts = []
    for k in range(count):
        rows = [" ".join(["H", *(f"{value:.6f}" for value in generator.normal(size=6))]) for _ in range(1 + k % 3)]
        energy = f"low_energy={generator.normal():.6f}" if k % 2 else "low_energy=nan"
        comment = f"Properties=species:S:1:pos:R:3:high_forces:R:3 {energy} structure_id=f{k:03d} kind=k{k % 4}"
        texts.append("\n".join([str(len(rows)), comment, *rows]) + "\n")
    (folder / "one.extxyz").write_text("".join(texts[: count // 2]))
    (folder / "two.xyz").write_text("".join(texts[count // 2 :])[:-1])
    with h5py.File(folder / "three.h5", "w") as file:
        for name, size in (("B", 3), ("A", 4)):
            group = file.create_group(name)
            group["atomic_numbers"] = np.array([1, 8])
            group["coordinates"] = generator.normal(size=(size, 2, 3))
            group["ll.energy"] = generator.normal(size=size)
    return [folder / "one.extxyz", folder / "three.h5", folder / "two.xyz"]


def same(one: Structure, two: Structure) -> None:
    assert one.structure_id == two.structure_id
    assert one.geometry_hash == two.geometry_hash
    assert reading_of(one) == reading_of(two)
    assert one.info == two.info
    assert set(one.labels) == set(two.labels)
    for name, labels in one.labels.items():
        for item in ("energy", "energy_stderr", "forces", "forces_stderr", "stress"):
            np.testing.assert_array_equal(getattr(labels, item), getattr(two.labels[name], item))


def test_every_access_gives_what_reading_gives(tmp_path: Path) -> None:
    paths = written(tmp_path)
    expected = read_structures(paths, keys={"low2": "ll"})
    streamed = stream_structures(paths, keys={"low2": "ll"})
    assert len(streamed) == len(expected) == 47
    for one, two in zip(streamed, expected, strict=True):
        same(one, two)
    for index in (46, 0, 19, 20, 23, 24, 26, 27, -1):
        same(streamed[index], expected[index])
    for one, two in zip(streamed[30:10:-3], expected[30:10:-3], strict=True):
        same(one, two)
    assert list(names_of(streamed)) == [structure.structure_id for structure in expected]
    assert list(names_of(select(streamed, [4, 2]))) == list(names_of(select(expected, [4, 2])))


def test_labelled_structures_are_found_without_reading(tmp_path: Path) -> None:
    paths = written(tmp_path)
    streamed = stream_structures(paths)
    expected = [structure.structure_id for structure in read_structures(paths) if structure.labelled("low").has_energy]
    (tmp_path / "one.extxyz").unlink()
    assert list(streamed.select(places_labelled_by(streamed, "low")).names) == expected
    assert len(places_labelled_by(streamed, "absent")) == 0


def test_changed_labels_are_changed_whenever_they_are_read(tmp_path: Path) -> None:
    paths = written(tmp_path)
    streamed, expected = stream_structures(paths), read_structures(paths)

    def without_low(structure: Structure) -> Structure:
        return without_labels(structure, "low")

    changed = streamed[3:].changed(without_low, "low is left out")
    for one, two in zip(changed, expected[3:], strict=True):
        same(one, without_low(two))
    same(changed[5], without_low(expected[8]))
    assert len(places_labelled_by(changed, "low")) == 0
    assert places_labelled_by(changed, "high").tolist() == places_labelled_by(expected[3:], "high").tolist()
    again = streamed[3:].changed(without_low, "low is left out")
    assert changed.fingerprint == again.fingerprint != streamed[3:].fingerprint


def test_a_file_that_changed_is_refused(tmp_path: Path) -> None:
    paths = written(tmp_path)
    streamed = stream_structures(paths)
    paths[0].write_text(paths[0].read_text().replace("f003", "g003!"))
    with pytest.raises(DataError, match="has changed"):
        streamed[0]
    with pytest.raises(DataError, match="has changed"):
        next(iter(streamed))


def test_fingerprints_tell_files_names_and_selections_apart(tmp_path: Path) -> None:
    paths = written(tmp_path)
    streamed = stream_structures(paths)
    others: list[StreamedStructures] = [
        streamed[1:],
        stream_structures(paths[:2]),
        stream_structures(paths, keys={"x": "ll"}),
    ]
    found = {one.fingerprint for one in (streamed, *others)}
    assert len(found) == 4
    assert stream_structures(paths).fingerprint == streamed.fingerprint


def test_one_name_of_two_geometries_and_compressed_files_are_refused(tmp_path: Path) -> None:
    frame = "1\nstructure_id=a\nH 0 0 {}\n"
    (tmp_path / "a.xyz").write_text(frame.format(0) + frame.format(0))
    assert len(stream_structures(tmp_path / "a.xyz")) == 2
    (tmp_path / "a.xyz").write_text(frame.format(0) + frame.format(1))
    with pytest.raises(DataError, match=r"'a' names two geometries, frames .*leave the key out"):
        stream_structures(tmp_path / "a.xyz")
    (tmp_path / "a.extxyz.gz").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be streamed"):
        stream_structures(tmp_path / "a.extxyz.gz")
