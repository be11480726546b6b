"""The two potentials that a demo sets side by side: the base of its run, and what was lifted from it."""

from collections.abc import Mapping
from dataclasses import dataclass

from rung import checkpoint
from rung.calculator import RungCalculator
from rung.config import RunConfig
from rung.errors import ModelError
from rung.fit.lift import Base
from rung.run.folder import RunFolder
from rung.run.inputs import open_base
from rung.tasks.opened import Opened


@dataclass(frozen=True)
class BeforeAndAfter:
    """A base and the potential of a finished run that began from it.

    Parameters
    ----------
    base
        The base.
    before, after
        Base and lifted potential, as tasks see them.
    """

    base: Base
    before: Opened
    after: Opened

    @property
    def by_fidelity(self) -> Mapping[str, Opened]:
        """Both by the names of their fidelities."""
        return {self.before.fidelity: self.before, self.after.fidelity: self.after}


def before_and_after(config: RunConfig) -> BeforeAndAfter:
    """Return the base of a config, and the potential that its run left.

    Raises
    ------
    ModelError
        When the config names no base.
    """
    base = open_base(config)
    if base is None:
        raise ModelError("The demo's config names no base.")
    lifted = RungCalculator(checkpoint.load(RunFolder(config.run).model), fidelity=config.target)
    before = RungCalculator(base.potential, fidelity=base.fidelity)
    return BeforeAndAfter(base, Opened.of(before, fidelity=base.fidelity), Opened.of(lifted, fidelity=config.target))
