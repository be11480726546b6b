"""The engines, and the one place that chooses among them.

An engine is one file here with an :class:`~rung.label.engine.Engine`, and an entry in ``ENGINES``.
"""

from typing import Annotated, Any

from pydantic import Field

from rung.label.engine import Engine
from rung.label.engines import ase, files, known, pyqmc, pyscf
from rung.label.engines.ase import AseEngine
from rung.label.engines.files import FilesEngine
from rung.label.engines.known import KnownEngine
from rung.label.engines.pyqmc import PyqmcEngine
from rung.label.engines.pyscf import PyscfEngine

EngineSettings = Annotated[
    AseEngine | FilesEngine | KnownEngine | PyqmcEngine | PyscfEngine, Field(discriminator="name")
]
"""Settings of an engine, told apart by ``name``."""

ENGINES: dict[str, Engine[Any]] = {
    "ase": ase.ENGINE,
    "files": files.ENGINE,
    "known": known.ENGINE,
    "pyqmc": pyqmc.ENGINE,
    "pyscf": pyscf.ENGINE,
}
"""Each engine by its name."""
