"""What a config names is what is read."""

from pathlib import Path

import h5py
import numpy as np

from rung.config import load_config
from rung.run.inputs import read_splits


def test_levels_of_a_file_get_the_names_of_the_config(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "ani.h5", "w") as file:
        group = file.create_group("H2")
        group["atomic_numbers"] = np.array([1, 1])
        group["coordinates"] = np.array([[[0.0, 0, 0], [0, 0, 0.74]], [[0, 0, 0], [0, 0, 0.80]]])
        group["wb97x_dz.energy"] = np.array([-1.0, -2.0])
        group["ccsd(t)_cbs.energy"] = np.array([np.nan, -3.0])
    (tmp_path / "test.extxyz").write_text("1\nREF_energy=-4.0\nH 0 0 0\n")
    (tmp_path / "config.yaml").write_text(
        """
        run: run
        fidelities: {dz: {key: wb97x_dz}, cc: {key: ccsd(t)_cbs}, plain: {key: REF}}
        target: cc
        data: {train: ani.h5, evaluate: {test: test.extxyz}}
        method: {name: scratch}
        """
    )
    config = load_config(tmp_path / "config.yaml")
    assert config.keys() == {"dz": "wb97x_dz", "cc": "ccsd(t)_cbs", "plain": "REF"}
    splits = read_splits(config)
    assert [set(structure.labels) for structure in splits["train"]] == [{"dz"}, {"dz", "cc"}]
    assert splits["test"][0].labels["plain"].energy == -4.0
