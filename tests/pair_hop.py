"""A carbon atom that hops between two held oxygen atoms on a pair potential with a posterior."""

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from rung import RungCalculator
from rung.checkpoint import Checkpoint
from rung.model.posterior import Posterior
from rung.model.potential import ReadoutPotential, Surface
from rung.model.readout import Readout, ReadoutBlock
from rung.model.reference import ReferenceEnergies
from tests.pair_backbone import PairBackbone

APART = 5.0
SIGMA = 0.03


def ends() -> tuple[Atoms, Atoms]:
    """The carbon near one oxygen and near the other."""
    found = []
    for x in (1.4, APART - 1.4):
        atoms = Atoms("O2C", positions=[[0, 0, 0], [APART, 0, 0], [x, 0, 0]])
        atoms.set_constraint(FixAtoms([0, 1]))
        found.append(atoms)
    return found[0], found[1]


def lifted(sigma: float = SIGMA) -> RungCalculator:
    """A well of one linear readout; each weight known to ``sigma`` eV, the model's own error 0.02 eV/√atom."""
    backbone = PairBackbone()
    size = backbone.n_sums
    weights = np.zeros(size)
    weights[[1, backbone.n_radial + 1]] = -0.5
    readout = Readout((ReadoutBlock("readouts.0", tuple(range(size)), (), weights),))
    surface = Surface(readout, ReferenceEnergies({6: -1.0, 8: -2.0}))
    names = (*readout.parameters, "E0[6]", "E0[8]")
    posterior = Posterior(
        parameters=names,
        mean=np.zeros(len(names)),
        covariance=np.diag([sigma**2] * size + [1.0, 1.0]),
        unidentified=np.zeros((0, len(names))),
        model_error=0.02,
        force_error=0.1,
    )
    potential = ReadoutPotential(backbone, {"high": surface})
    return RungCalculator(Checkpoint(potential, posterior, {"target": "high"}), fidelity="high")
