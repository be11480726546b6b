"""Which function runs each method; the settings of all of them stand in :mod:`rung.config`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rung.config import MethodSettings
from rung.data.structure import Structure
from rung.features.passes import build_designs
from rung.fidelity import Fidelity
from rung.fit.lift import Context, Method
from rung.fit.methods.delta import delta
from rung.fit.methods.joint import joint
from rung.fit.methods.offset import OffsetSettings, fit_offset
from rung.fit.methods.onehot import onehot
from rung.fit.methods.readout import fit_readout, gather
from rung.fit.methods.scratch import scratch
from rung.fit.methods.tangent import fit_tangent
from rung.fit.methods.transfer import transfer
from rung.model.potential import ReadoutPotential

METHODS: dict[str, Method] = {
    "delta": delta,
    "joint": joint,
    "offset": fit_offset,
    "onehot": onehot,
    "readout": fit_readout,
    "scratch": scratch,
    "tangent": fit_tangent,
    "transfer": transfer,
}
"""One line a method."""

Prepare = Callable[[Sequence[Structure], ReadoutPotential, Fidelity, Any, Context], Any]


def _energies(
    train: Sequence[Structure], base: ReadoutPotential, target: Fidelity, settings: OffsetSettings, context: Context
) -> None:
    del settings
    labelled = [structure for structure in train if structure.labelled(target.name).has_energy]
    build_designs(
        labelled,
        base.backbone,
        base.surface(context.base_fidelity).readout,
        forces=False,
        fidelity=context.base_fidelity,
        cache=context.cache,
        progress=context.progress,
    )


PREPARE: Mapping[str, Prepare] = {"offset": _energies, "readout": gather}
"""What puts the training designs of a method into the cache; a method whose backbone moves has none."""


def method_of(settings: MethodSettings) -> Method:
    """Return the function of the method that ``settings`` are for."""
    return METHODS[settings.name]


def prepare(
    train: Sequence[Structure], base: ReadoutPotential, target: Fidelity, settings: MethodSettings, context: Context
) -> bool:
    """Compute the designs that a fit of ``settings`` will read; return whether it reads any."""
    if settings.name not in PREPARE:
        return False
    PREPARE[settings.name](train, base, target, settings, context)
    return True
