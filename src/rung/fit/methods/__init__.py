"""One file a method: its settings, its function, and its record, which is entered here."""

from collections.abc import Mapping
from typing import Annotated, Any

from rung.fit.method import Method, NamedSettings
from rung.fit.methods.auto import AUTO
from rung.fit.methods.delta import DELTA
from rung.fit.methods.joint import JOINT
from rung.fit.methods.offset import OFFSET
from rung.fit.methods.onehot import ONEHOT
from rung.fit.methods.readout import READOUT
from rung.fit.methods.scratch import SCRATCH
from rung.fit.methods.tangent import TANGENT
from rung.fit.methods.transfer import TRANSFER
from rung.settings import ChosenBy

METHODS: Mapping[str, Method[Any]] = {
    method.name: method for method in (AUTO, DELTA, JOINT, OFFSET, ONEHOT, READOUT, SCRATCH, TANGENT, TRANSFER)
}
"""The record of every method by name."""


def _settings() -> Mapping[str, type[NamedSettings]]:
    return {name: method.settings for name, method in METHODS.items()}


MethodSettings = Annotated[NamedSettings, ChosenBy("name", _settings)]
"""The settings of every method, told apart by ``name``."""


def method_of(settings: NamedSettings) -> Method[Any]:
    """Return the record of the method that ``settings`` are for."""
    return METHODS[settings.name]
