"""What every kind of dynamics is told, and which of it decides a trajectory."""

from typing import Annotated, Any, ClassVar

from ase import Atoms
from pydantic import Field
from pydantic_core import to_json

from rung.evaluate.dynamics.stability import LimitSettings
from rung.evaluate.identity import beyond_geometry, held_atoms
from rung.settings import Option, Settings
from rung.storage import content_hash
from rung.units import BOLTZMANN


class DynamicsSettings(Settings):
    """How atoms are moved, and what is kept of it."""

    decides: ClassVar[tuple[str, ...]]
    """The settings that decide a trajectory, in the order in which a key hashes them; the others may change later."""

    temperature: float = Field(gt=0)
    """Temperature of the thermostat, and of the momenta drawn at the start, K."""
    timestep: float = Field(default=1.0, gt=0)
    """Time step, fs."""
    friction: float = Field(default=0.01, gt=0)
    """Friction of the Langevin thermostat, 1/fs."""
    sample_every: int = Field(default=10, ge=1)
    """Steps from one sample to the next."""
    frame_every: int = Field(default=50, ge=1)
    """Steps from one kept structure to the next."""
    save_every: int = Field(default=500, ge=1)
    """Steps from one restart file to the next."""
    remove_drift: Annotated[bool, Option(off=("free-drift",))] = True
    """Whether the centre of mass stays at rest; false where a field from outside acts."""
    seed: int = Field(default=0, ge=0)
    """Seed of the random numbers."""
    limits: LimitSettings = LimitSettings()
    """Where a run stops: close contacts, forces and temperatures beyond any use."""

    @property
    def thermal_energy(self) -> float:
        """kT, eV."""
        return BOLTZMANN * self.temperature

    def key(self, start: Atoms, identity: str, *geometries: Any) -> str:
        """Return a hash of all that decides a trajectory; more steps may be asked for without starting again.

        Parameters
        ----------
        start
            Where it begins; what constraints hold counts, and masses, charges and moments.
        identity
            What else decides the result, such as the fidelity.
        geometries
            Parts of :func:`~rung.evaluate.identity.exact_geometry`.
        """
        return content_hash(self.deciding(), identity, held_atoms(start), *geometries, *beyond_geometry(start))

    def deciding(self) -> str:
        """Return the settings that decide a trajectory as JSON."""
        content = self.model_dump(mode="json")
        return to_json({name: content[name] for name in self.decides}).decode()
