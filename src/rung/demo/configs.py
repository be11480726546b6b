"""What the demos run: configs as data, and who made the labels."""

from typing import Any

from rung.evaluate.paths.barrier import BarrierSettings

FOLDERS: dict[str, str] = {
    "mos2": "demo",
    "pm6-dft": "demo-pm6-dft",
    "h3": "demo-h3",
    "molecules": "demo-molecules",
}
"""Where each demo goes unless the user names another folder."""

MOS2_NOTICE = (
    "The labels are model-made, not ab initio: 'pbe' is what SevenNet-MF-0 says, 'r2scan' what CHGNet says; they stand "
    "for two levels of theory whose truth is known, and say nothing about MoS2 itself."
)
PM6_NOTICE = (
    "PM6 and DFT labels of reactive CHNO molecules from the data of PYSEQM (https://github.com/lanl/PYSEQM), under the "
    "BSD licence that stands beside them; the source does not state functional and basis. The base is a small model, "
    "trained in minutes."
)

STUDY = "study"
"""Folder of the learning curve within the demo's: the report of a run shows a study that lies there."""

ENERGIES_ONLY: dict[str, Any] = {"name": "readout", "terms": [{"kind": "energies"}, {"kind": "weights"}]}
"""The same fit without the anchor, to show what the anchor does."""

LEARNING_CURVE: dict[str, Any] = {"labels": [12, 25, 50, 100], "seeds": [0, 1, 2]}

MOS2: dict[str, Any] = {
    "fidelities": {
        "pbe": {"level_of_theory": "PBE as SevenNet-MF-0 has it (model-made)"},
        "r2scan": {"level_of_theory": "r2SCAN as CHGNet has it (model-made)"},
    },
    "target": "r2scan",
    "method": {"name": "readout"},
    "threads": 1,
}
"""The config of the MoS2 demo, its files and folders apart."""

PM6_BASE: dict[str, Any] = {
    "fidelities": {"pm6": {"level_of_theory": "PM6"}},
    "target": "pm6",
    "method": {
        "name": "scratch",
        "architecture": {"channels": 32, "max_l": 1, "layers": 2, "cutoff": 5.0},
        "training": {
            "epochs": 30,
            "batch_size": 8,
            "learning_rate": 0.01,
            "schedule": {"name": "cosine"},
            "loss": {"energy_weight": 10.0, "forces_weight": 100.0, "forces_shape": {"name": "huber", "delta": 1.0}},
        },
    },
    "threads": 1,
}
"""The config by which the base of the PM6-DFT demo is trained."""

PM6_LIFT: dict[str, Any] = {
    "fidelities": {"pm6": {"level_of_theory": "PM6"}, "dft": {"level_of_theory": "DFT, functional not stated"}},
    "target": "dft",
    "method": {"name": "readout"},
    "threads": 1,
}
"""The config by which that base is lifted."""

PM6_SPLIT = {"train": 0.7, "valid": 0.1, "test": 0.2}
"""Shares of the molecules, whole formulas each."""

PM6_ENERGIES = 100
"""DFT energies that the main fit of the PM6-DFT demo sees."""

H3_NOTICE = (
    "PBE, UCCSD(T) and fixed-node DMC labels of H + H2 -> H2 + H, calculated for rung. DMC is at one time step, with "
    "one Jastrow factor for all geometries. No energy of the path but that of H2 + H is fitted."
)

H3_BASE: dict[str, Any] = {
    "fidelities": {"pbe": {"level_of_theory": "UKS PBE, ccECP, ccecp-ccpvtz"}},
    "target": "pbe",
    "method": {
        "name": "scratch",
        "architecture": {"channels": 16, "max_l": 1, "layers": 2, "cutoff": 5.0},
        "training": {"epochs": 30, "batch_size": 8, "learning_rate": 0.01, "schedule": {"name": "cosine"}},
    },
    "threads": 1,
}
"""The config by which the base of H + H2 is trained."""

H3_LIFT: dict[str, Any] = {
    "fidelities": {
        "pbe": {"level_of_theory": "UKS PBE, ccECP, ccecp-ccpvtz"},
        "dmc": {"level_of_theory": "fixed-node DMC, Slater-Jastrow on UKS PBE orbitals, ccECP, time step 0.05 a.u."},
    },
    "target": "dmc",
    "method": {"name": "readout"},
    "threads": 1,
}
"""The config by which that base is lifted."""

H3_ENERGIES, H3_HELD, H3_UNSEEN = 40, 10, 60
"""DMC energies that the main fit of the demo sees; rattled frames whose DMC energy no fit sees; frames that the base is
tested on."""

H3_CURVE: dict[str, Any] = {"labels": [10, 20, 40], "seeds": [0, 1, 2]}

MOLECULES_NOTICE = (
    "GFN2-xTB, MP2/cc-pVDZ and CCSD(T)/cc-pVDZ labels of twelve molecules, calculated for rung. Truth here is CCSD(T) "
    "in a double-zeta basis. No energy of a path is fitted."
)

MOLECULES_ARCHITECTURE: dict[str, Any] = {
    "channels": 16,
    "max_l": 1,
    "layers": 2,
    "cutoff": 5.0,
    "correlation": 2,
    "radial_units": [32, 32],
}
"""Of models of the molecules, those of their studies too."""

MOLECULES_BASE: dict[str, Any] = {
    "fidelities": {"gfn2": {"level_of_theory": "GFN2-xTB"}},
    "target": "gfn2",
    "method": {
        "name": "scratch",
        "architecture": MOLECULES_ARCHITECTURE,
        "training": {
            "epochs": 60,
            "batch_size": 16,
            "learning_rate": 0.02,
            "schedule": {"name": "cosine"},
            "final": {"learning_rate": 0.005},
        },
    },
    "threads": 1,
}
"""The config by which the base of the molecules is trained: that of their studies, with a last stage for energies."""

MOLECULES_LIFT: dict[str, Any] = {
    "fidelities": {
        "gfn2": {"level_of_theory": "GFN2-xTB"},
        "ccsdt": {"level_of_theory": "RCCSD(T)/cc-pVDZ, all electrons correlated"},
    },
    "target": "ccsdt",
    "method": {"name": "tangent"},
    "threads": 1,
}
"""The config by which that base is lifted: in all layers, for the two levels differ by more than a readout can say."""

MOLECULES_ENERGIES = 100
"""CCSD(T) energies that the main fit of the demo sees."""

MOLECULES_CURVE: dict[str, Any] = {"labels": [25, 100, 200], "seeds": [0, 1, 2]}

BAND = BarrierSettings(images=7, fmax=0.05, max_steps=300)
"""How the relaxed barrier is found."""
