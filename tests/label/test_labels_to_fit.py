"""Labels go straight into the doctor and a fit: each with its own error, and none with what all of them share."""

from dataclasses import replace

import numpy as np
import pytest

from rung.cli import main
from rung.config import load_config
from rung.data.readers.structures import read_structures
from rung.label.engines.known import KnownEngine
from rung.label.labelling import label_structures
from rung.run.stages import run_fit
from tests.run.small_world import SmallWorld


def test_labels_are_read_by_the_doctor_and_a_fit(world: SmallWorld, capsys: pytest.CaptureFixture[str]) -> None:
    train = world.folder / "train.extxyz"
    frames = [replace(one, labels={"low": one.labels["low"]}) for one in read_structures(train)]
    engine = KnownEngine(files=(train,), key="high", noise=True)
    made = label_structures(frames, "dmc", engine, world.folder / "labels", stderr=0.02)
    assert (len(made.records), len(made.failed)) == (10, 6)
    labels = [frame.labelled("dmc") for frame in read_structures(made.file, fidelities=["low", "dmc"])]
    errors = [label.energy_stderr for label in labels]
    assert errors == pytest.approx([np.hypot(0.02, 0.002)] * 10)  # what was drawn, and what the file says
    assert main(["doctor", str(made.file)]) == 0
    capsys.readouterr()
    config = world.config(
        fidelities={"low": {}, "dmc": {"energy_shared_stderr": 0.5}},
        target="dmc",
        data={"train": "labels/labels.extxyz"},
    )
    finished = run_fit(load_config(config))
    assert finished.folder.model.exists()
    assert [frame.labelled("dmc").energy_stderr for frame in read_structures(made.file)] == errors
