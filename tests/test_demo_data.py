import json

import numpy as np
import pytest

from rung.data.readers.structures import read_structures
from rung.data.splits import check_disjoint, formula, grouped_split
from rung.demo_data import NAMES, folder
from rung.errors import ConfigError


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(ConfigError, match=r"Unknown bundled data set 'mos'; .* Did you mean 'mos2'"):
        folder("mos")


def test_every_folder_says_where_its_labels_come_from():
    for name in NAMES:
        assert (folder(name) / "README.md").is_file()
    assert "not ab initio" in (folder("mos2") / "README.md").read_text()
    licence = (folder("pm6-dft") / "LICENSE").read_text()
    assert "Triad National Security" in licence and "BSD 3-Clause" in licence


def test_mos2_is_small_and_what_its_readme_says():
    path = folder("mos2")
    assert sum(file.stat().st_size for file in path.iterdir()) < 3_000_000
    train, test, ood = (read_structures(path / f"{name}.extxyz") for name in ("train", "test", "ood"))
    assert (len(train), len(test), len(ood)) == (660, 120, 80)
    check_disjoint({"train": train, "test": test, "ood": ood})
    assert [k for k, s in enumerate(train) if s.labelled("r2scan").has_energy] == list(range(100))
    assert all(s.labelled("pbe").has_forces and s.labelled("pbe").has_stress for s in (*train, *test, *ood))
    assert all(s.labelled("r2scan").has_forces for s in (*test, *ood))
    assert not any(s.labelled("r2scan").has_forces for s in train)


def test_mos2_noise_is_what_the_error_bars_say():
    path = folder("mos2")
    exact = json.loads((path / "train_exact.json").read_text())
    labelled = [s for s in read_structures(path / "train.extxyz") if s.labelled("r2scan").has_energy]
    z = np.array(
        [(s.labels["r2scan"].energy - exact[s.structure_id]) / s.labels["r2scan"].energy_stderr for s in labelled]
    )
    assert abs(z.mean()) < 3 / np.sqrt(len(z))
    assert 0.75 < z.std() < 1.25


def test_mos2_bands_give_the_stated_barriers():
    path = folder("mos2")
    truth = json.loads((path / "truth.json").read_text())
    for level, barrier in (("pbe", 0.953), ("r2scan", 1.147)):
        band = read_structures(path / f"neb_{level}.extxyz")
        energies = np.array([image.labels[level].energy for image in band])
        np.testing.assert_allclose(energies, truth[level]["energies"], atol=1e-5)
        assert energies.max() - energies[0] == pytest.approx(barrier, abs=5e-4)


def test_pm6_dft_is_what_its_readme_says_and_splits_by_formula():
    structures = read_structures(folder("pm6-dft") / "frames.extxyz")
    assert len(structures) == 1408
    assert len({s.formula for s in structures}) == 158
    assert all(s.labelled(name).has_forces for s in structures for name in ("pm6", "dft"))
    parts = grouped_split(structures, {"train": 0.7, "valid": 0.1, "test": 0.2}, 0, key=formula)
    check_disjoint(parts)
    assert abs(len(parts["train"]) - 0.7 * 1408) < 60
