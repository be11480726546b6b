"""Every potential that the contract holds for, with structures that it knows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import ase.io
import torch

import rung
from rung.backends import dump, load_base, restore
from rung.backends.protocol import Heads
from rung.data.structure import Structure
from rung.model.conditioning import Conditioning
from rung.model.delta import summed
from rung.model.potential import ReadoutPotential, Surface
from tests.geometries import cell_structures, molecule_structures
from tests.pair_backbone import PairBackbone, pair_potential, pair_structures
from tests.several_fidelities import merged, several


@dataclass(frozen=True)
class Entry:
    """A potential under contract.

    ``tolerance`` is relative: to the r.m.s. force for forces, to 1 eV per atom for energies.
    ``pure`` says that an isolated atom has its reference energy plus the readout's shift.
    """

    name: str
    build: Callable[[], ReadoutPotential]
    structures: Callable[[], Sequence[Structure]]
    tolerance: float = 1e-10
    pure: bool = False

    def on(self, device: str) -> ReadoutPotential:
        """Return the potential on a device, as torch spells it."""
        return self.build() if device == "cpu" else self.copied(device)

    def copied(self, device: str) -> ReadoutPotential:
        """Return a copy made of the potential's plain data."""
        return restore(dump(self.build()), device=device)


def _with_second(potential: ReadoutPotential) -> ReadoutPotential:
    """Add ``high``, whose readout and reference energies differ everywhere."""
    low = potential.surface(potential.fidelities[0])
    readout = low.readout.moved(0.1 * (1.0 + abs(low.readout.weights)))
    reference = low.reference.moved(
        low.reference.elements, 0.5 + 0.25 * torch.arange(len(low.reference.elements)).numpy()
    )
    return potential.with_surface("high", Surface(readout, reference))


def _mace(
    name: str, *, head: str | None = None, tolerance: float = 1e-10, pure: bool = False, **options: object
) -> Entry:
    def build() -> ReadoutPotential:
        from rung.backends.mace import wrap
        from tests.mace_models import tiny_mace

        return _with_second(wrap(tiny_mace(**options), "low", head))

    return Entry(name, cache(build), _small, tolerance, pure)


@cache
def _small() -> Sequence[Structure]:
    return (*molecule_structures(), *cell_structures())


def _conditioned(conditioning: Conditioning) -> Entry:
    return Entry(f"fidelities-{conditioning}", lambda: several(conditioning), _small)


@cache
def _sum() -> ReadoutPotential:
    """Two models of other shapes and cutoffs, as ``high``; the first alone is ``low``."""
    from rung.backends.mace import wrap
    from tests.mace_models import tiny_mace

    below = wrap(tiny_mace(pair_repulsion=True), "low")
    return summed(below, "low", wrap(tiny_mace(3, layers=1, cutoff=3.2, scale=2.0), "gap"), "gap", target="high")


@cache
def _testbed() -> ReadoutPotential:
    path = Path(rung.__file__).parent / "demo_data" / "mos2" / "base.model"
    return _with_second(load_base(path, fidelity="low"))


@cache
def _testbed_frames() -> Sequence[Structure]:
    path = Path(rung.__file__).parent / "demo_data" / "mos2" / "test.extxyz"
    return [Structure(atoms, str(index), {}) for index, atoms in enumerate(ase.io.read(path, index="0:2"))]


@cache
def _pair() -> ReadoutPotential:
    return pair_potential(PairBackbone(), ("low", "high"))


@cache
def _pair_conditioned() -> ReadoutPotential:
    return pair_potential(PairBackbone(conditioning={"low": 1.0, "high": 0.6}), ("low", "high"))


@cache
def _pair_frames() -> Sequence[Structure]:
    return pair_structures(PairBackbone())


def _sevennet(name: str, *, tolerance: float = 1e-10, head: Heads = None, **options: object) -> Entry:
    def build() -> ReadoutPotential:
        from tests.sevennet_models import tiny_sevennet

        potential = tiny_sevennet(head=head, **options)
        return potential if "high" in potential.fidelities else _with_second(potential)

    return Entry(name, cache(build), _small, tolerance)


@cache
def _shipped() -> ReadoutPotential:
    from tests.sevennet_models import shipped

    return load_base(shipped("SevenNet_MF_0"), fidelity="low", head={"low": "PBE", "high": "R2SCAN"})


MACE = (
    _mace("one-layer", layers=1),
    _mace("two-layers", layers=2),
    _mace("three-layers-l2", layers=3, hidden="4x0e+4x1o+4x2e", correlation=3, units=3),
    _mace("scalars-only", layers=2, hidden="8x0e", max_ell=1),
    _mace("pure-atoms", interaction_first="RealAgnosticInteractionBlock", scale_shift=False, pure=True),
    _mace("bias-readout", readout="NonLinearBiasReadoutBlock", gate="tanh"),
    _mace("second-of-two-heads", heads=("first", "second"), head="second"),
    _mace("pair-repulsion", pair_repulsion=True),
    _mace("float32", dtype=torch.float32, tolerance=2e-5),
    *(_conditioned(name) for name in ("readouts", "embedding", "all")),
    Entry("merged-adapters", merged, _small),
    Entry("sum", _sum, _small),
    Entry("testbed", _testbed, _testbed_frames, tolerance=5e-5),
)

SEVENNET = (
    _sevennet("sevennet"),
    _sevennet("sevennet-parity", is_parity=True),
    _sevennet(
        "sevennet-scales", element_scales=(1.3, 0.6, 2.1), self_connection_type="nequip", use_bias_in_linear=True
    ),
    _sevennet("sevennet-modality", modalities=("a", "b"), head="b"),
    _sevennet("sevennet-modalities", modalities=("a", "b"), head={"low": "b", "high": "a"}),
    _sevennet("sevennet-float32", is_parity=True, dtype="float32", tolerance=2e-5),
    Entry("7net-mf-0", _shipped, _testbed_frames, tolerance=5e-5),
)

ENTRIES = (
    *(MACE if find_spec("mace") else ()),
    *(SEVENNET if find_spec("sevenn") else ()),
    Entry("pair-backbone", _pair, _pair_frames),
    Entry("pair-conditioned", _pair_conditioned, _pair_frames),
)
"""The potentials whose engine is installed: each environment runs the same contract on its own."""


def named(*names: str) -> list[str]:
    """Return those of some entries whose engine is installed."""
    there = {entry.name for entry in ENTRIES}
    return [name for name in names if name in there]
