"""Result folders with made-up but likely numbers, as a run and a study leave them."""

import numpy as np

from rung.evaluate.errors import split_errors
from rung.storage import write_json, write_text


def predictions(seed, structures=40, atoms=26, forces=True, base_off=0.4):
    """Labels, a base that errs a lot, a fit that errs a little."""
    rng = np.random.default_rng(seed)
    counts = [atoms + index % 2 for index in range(structures)]
    label = np.array([-14.6 * n + rng.normal(scale=1.2) for n in counts])
    sigma = rng.uniform(0.02, 0.06, size=structures)
    bars = rng.uniform(0.1, 0.25, size=structures)
    truth = [rng.normal(scale=1.1, size=(n, 3)) for n in counts]
    return {
        "fidelity": "r2scan",
        "structure_ids": [f"rattled-{index}" for index in range(structures)],
        "formulas": [f"Mo9S{n - 9}" for n in counts],
        "n_atoms": counts,
        "energy": label + rng.normal(scale=bars),
        "energy_stderr": bars,
        "energy_label": label,
        "energy_stderr_label": sigma,
        "energy_base": 0.6 * label + rng.normal(scale=base_off, size=structures),
        "forces": [block + rng.normal(scale=0.31, size=block.shape) for block in truth],
        "forces_stderr": [np.full(block.shape, 0.24) for block in truth],
        "forces_label": truth if forces else [None] * structures,
        "forces_base": [0.77 * block + rng.normal(scale=0.4, size=block.shape) for block in truth],
    }


def errors(content, source=""):
    """The errors of ``content`` as metrics.json has them; of the base where ``source`` is ``_base``."""
    known = [block is not None for block in content["forces_label"]]
    energy = content["energy"] if not source else content["energy_label"] + np.diff(content["energy_base"], append=-220)
    return split_errors(
        energy,
        content["energy_label"],
        content["n_atoms"],
        content["formulas"],
        energy_stderr_label=content["energy_stderr_label"],
        energy_stderr=None if source else content["energy_stderr"],
        forces=content["forces" + source],
        forces_label=content["forces_label"] if all(known) else None,
        base_forces=content["forces_base"],
    ).as_dict()


def run_folder(folder):
    """Write every file that a run may leave."""
    splits = {"test": predictions(1), "ood": predictions(2, 24, 40, forces=False)}
    for split, content in splits.items():
        write_json(folder / "predictions" / f"{split}.json", content)
    metrics = {
        "splits": {split: {"r2scan": errors(content)} for split, content in splits.items()},
        "base": {split: {"r2scan": errors(content, "_base")} for split, content in splits.items()},
        "fit": {
            "method": "readout",
            "seconds": 1.372,
            "cache_seconds": 74.21,
            "n_parameters": 48,
            "n_energies": 100,
            "warnings": ["The band forbids half of the change of the barrier that the energies ask for."],
        },
    }
    for split, change in (("test", (18.1, 494.0)), ("ood", (43.3, np.nan))):
        metrics["base"][split]["r2scan"] |= {"energy_rmse": change[0], "energy_mae": 15.2, "force_rmse": change[1]}
    write_json(folder / "metrics.json", metrics)
    write_json(folder / "fit.json", fit_details(metrics))
    write_json(folder / "barrier.json", barrier())
    write_json(folder / "findings.json", findings())
    write_json(folder / "provenance.json", provenance())
    write_text(folder / "config.yaml", CONFIG)


CONFIG = """run: runs/mos2-readout
fidelities: {pbe: {level_of_theory: PBE}, r2scan: {level_of_theory: "r2SCAN (CHGNet)"}}
target: r2scan
base: {file: base.model, fidelity: pbe}
data: {train: train.extxyz, evaluate: {test: test.extxyz, ood: ood.extxyz}}
method: {name: readout, anchor: base, scale: auto}
seed: 0
"""


def fit_details(metrics):
    rng = np.random.default_rng(5)
    points = np.exp(rng.normal(size=(64, 3)) * [0.35, 0.14, 1.2] + np.log([0.214, 0.032, 0.31]))
    alone = {split: {"r2scan": {**found["r2scan"]}} for split, found in metrics["splits"].items()}
    alone["test"]["r2scan"] |= {"energy_rmse": 6.3, "force_rmse": 278.0, "force_departure_rmse": 390.0}
    return {
        "hyperparameters": [
            {
                "name": "alpha",
                "value": 0.214,
                "low": 0.15,
                "high": 0.31,
                "unit": "eV/√atom",
                "meaning": "width of the prior",
            },
            {
                "name": "model_error",
                "value": 0.032,
                "low": 0.028,
                "high": 0.037,
                "unit": "eV/√atom",
                "meaning": "the model's error",
            },
            {"name": "tau", "value": 0.31, "low": 0.1, "high": 1.4, "unit": "eV/Å", "meaning": "force band"},
            {"name": "scale", "value": 0.77, "low": 0.73, "high": 0.81, "unit": "", "meaning": "scale of the anchor"},
        ],
        "evidence_profile": [
            {"alpha": a, "model_error": e, "tau": t, "scale": 0.77, "weight": 1 / 64} for a, e, t in points
        ],
        "alternatives": [
            {"name": "scaled anchor", "log_evidence": 115.2, "note": "taken"},
            {"name": "raw anchor", "log_evidence": 110.4, "note": ""},
            {"name": "no anchor", "log_evidence": 98.1, "note": "energies alone"},
        ],
        "energies_alone": {
            **alone,
            "alpha": 0.41,
            "leave_one_out_rmse_meV_per_cell": 171.3,
            "force_departure_rmse_meV_per_angstrom": 421.0,
            "force_departure_rmse_meV_per_angstrom_as_fitted": 288.0,
        },
        "differences": [
            {
                "first": "neb-3",
                "second": "neb-0",
                "base": 0.894,
                "prior_mean": 0.12,
                "prior_stderr": 0.31,
                "energies_alone": 0.61,
                "fitted": 0.55,
            }
        ],
    }


def barrier():
    x = np.linspace(0, 1, 7)
    shape = np.sin(np.pi * x) ** 2
    return {
        "title": "Vacancy hop, static band of PBE",
        "curves": [
            {"name": "base", "coordinate": 3.2 * x, "energies": 0.894 * shape, "stderr": None, "stderr_total": None},
            {
                "name": "readout",
                "coordinate": 3.2 * x,
                "energies": 1.405 * shape,
                "stderr": 0.03 * shape,
                "stderr_total": 0.09 * shape,
            },
            {"name": "truth", "coordinate": 3.2 * x, "energies": 1.454 * shape},
        ],
        "barriers": [
            {"name": "base", "value": 0.894, "stderr": None, "stderr_total": None, "reaction": 0.0},
            {"name": "energies alone", "value": 1.43, "stderr": 0.05, "stderr_total": 0.11, "reaction": 0.001},
            {"name": "readout", "value": 1.405, "stderr": 0.0312, "stderr_total": 0.0904, "reaction": -0.001},
            {"name": "truth", "value": 1.454, "reaction": 0.0},
        ],
        "notice": "The truth is the potential that made the labels.",
    }


def findings():
    return {
        "findings": [
            {"severity": "note", "code": "stress-absent", "sentence": "No stress labels of r2scan."},
            {
                "severity": "warning",
                "code": "far-fragments",
                "sentence": "3 frames hold fragments beyond 5 Å.",
                "structures": ["a", "b", "c"],
            },
        ],
        "census": [
            {"file": "train.extxyz", "fidelity": "pbe", "frames": 660, "energies": 660, "sigma": 0, "forces": 660},
            {"file": "train.extxyz", "fidelity": "r2scan", "frames": 660, "energies": 100, "sigma": 100, "forces": 0},
        ],
    }


def provenance():
    return {
        "notice": "Labels come from pretrained potentials, not from ab initio calculations.",
        "rung": "0.1.0",
        "packages": {"torch": "2.13.0", "ase": "3.29.0"},
        "seed": 0,
        "files": {"data.train": {"path": "/data/train.extxyz", "sha256_32": "0f" * 16}},
    }


def study_folder(folder):
    """Write a study of three methods over five numbers of labels and four seeds."""
    rng = np.random.default_rng(7)
    lines = ["method,n_labels,seed,split,metric,value,stderr"]
    floors = {"energies alone": (5.6, 250.0), "readout": (6.0, 270.0), "tangent": (5.2, 215.0)}
    for split, worse in (("test", 1.0), ("ood", 1.8)):
        lines += [f"base,,,{split},energy_rmse,{18.1 * worse},", f"base,,,{split},force_rmse,{494 * worse**0.1},"]
        for method, (energy, force) in floors.items():
            for n in (12, 25, 50, 100, 200):
                for seed in range(4):
                    steep = 1.0 if method != "energies alone" else 2.0
                    factor = worse * (1 + steep * 12 / n * rng.uniform(0.5, 1.5))
                    lines.append(f"{method},{n},{seed},{split},energy_rmse,{energy * factor},")
                    lines.append(
                        f"{method},{n},{seed},{split},force_rmse,{force * (1 + 5 * rng.uniform(0.8, 1.2) / n)},"
                    )
                    lines.append(f"{method},{n},{seed},{split},coverage_energy_68,{rng.uniform(0.5, 0.75)},")
    for method in floors:
        for n in (12, 25, 50, 100, 200):
            for seed in range(4):
                lines.append(f"{method},{n},{seed},pbe path,barrier,{1.45 - 2 / n * rng.uniform(0.5, 2)},")
                lines.append(f"{method},{n},{seed},pbe path,barrier_stderr_total,{0.03 + 1.5 / n},")
                lines.append(f"{method},{n},{seed},fit,seconds,0.31,")
    write_text(folder / "study.csv", "\n".join(lines) + "\n")
    write_json(
        folder / "study.json",
        {
            "title": "MoS2: how many energies does it take?",
            "notice": "Labels come from pretrained potentials, not from ab initio calculations.",
            "verdict": ["With 25 energies the anchor lowers the error of the forces by 10 %."],
            "truths": {"pbe path": 1.454},
            "warnings": [
                {"sentence": "Only 12 energies: trust the error bars.", "fits": ["readout-n12-s0", "tangent-n12-s0"]}
            ],
            "seeds": [0, 1, 2, 3],
            "labels": [12, 25, 50, 100, 200],
        },
    )
