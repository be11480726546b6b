"""A campaign on real calculations: the bond of H2 at Hartree-Fock from a pair model, labels by PySCF."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase import Atoms

from rung.backends import export
from rung.campaign import load_campaign_config, run_campaign
from rung.data.labels import empty_labels
from rung.data.readers.structures import read_structures, write_structures
from rung.data.structure import Structure
from rung.label.engines.pyscf import PyscfEngine
from rung.label.labelling import label_structures
from rung.run.evaluation import predict
from tests.pair_backbone import PairBackbone, pair_potential

pytest.importorskip("pyscf")
pytestmark = pytest.mark.slow

LENGTHS = np.linspace(0.55, 1.25, 15)
STRETCHED, NEAR = 1.02, 0.74


def bond(length: float, name: str) -> Structure:
    return Structure(Atoms("H2", positions=[[0, 0, 0], [0, 0, length]]), name, {})


def test_the_answer_is_that_of_the_engine_within_its_bars(tmp_path: Path) -> None:
    base = pair_potential(PairBackbone(species=(1,), cutoff=2.5), ("low",))
    export(base, "low", tmp_path / "base.pair")
    pool = [bond(float(length), f"h2-{k:02d}") for k, length in enumerate(LENGTHS)]
    found = predict(base, pool, "low")
    write_structures(
        tmp_path / "pool.extxyz",
        [
            replace(one, labels={"low": replace(empty_labels(2), energy=float(energy), forces=forces)})
            for one, energy, forces in zip(pool, found.energy, found.forces, strict=True)
        ],
    )
    terms = [
        replace(bond(length, f"term-{sign:+.0f}"), info={"coefficient": sign})
        for length, sign in ((STRETCHED, 1.0), (NEAR, -1.0))
    ]
    write_structures(tmp_path / "terms.extxyz", terms)
    engine = {"name": "pyscf", "method": "hf", "basis": "sto-3g", "forces": False, "energy_stderr": 0.002}
    (tmp_path / "campaign.yaml").write_text(
        yaml.safe_dump(
            {
                "run": "bond",
                "fidelities": {"low": {}, "hf": {}},
                "target": "hf",
                "base": {"file": "base.pair", "fidelity": "low"},
                "data": {"train": "pool.extxyz"},
                "method": {"name": "readout"},
                "questions": {"stretch": {"kind": "sum", "structures": "terms.extxyz", "tolerance": 0.02}},
                "budget": {"labels": 13},
                "batch": 3,
                "stderr": [0.002],
                "engine": engine,
            }
        )
    )
    finished = run_campaign(load_campaign_config(tmp_path / "campaign.yaml"))
    truth = label_structures(terms, "hf", PyscfEngine.read(engine), tmp_path / "truth").records
    due = truth["term-+1"].energy - truth["term--1"].energy
    (answer,) = finished.answers
    assert abs(answer.value - due) < 2 * answer.bar
    assert answer.bar < 0.3
    labels = read_structures(tmp_path / "bond" / "rounds" / "000" / "labels" / "labels.extxyz")
    assert all(one.labelled("hf").energy_stderr == 0.002 for one in labels)
    assert finished.result.spent["cpu_hours"] > 0
