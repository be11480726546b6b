"""Exact energies by ``structure_id``: a JSON object, for studies whose labels are model-made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from rung.results.base import damage
from rung.storage import read_json

_ENERGIES = TypeAdapter(Mapping[str, Annotated[float, Field(allow_inf_nan=False)]])


def exact_energies(path: Path) -> Mapping[str, float]:
    """Return total energies, eV, by ``structure_id``.

    Raises
    ------
    StorageError
        When the file is absent, is not JSON, or holds something else than numbers by name.
    """
    try:
        return _ENERGIES.validate_python(read_json(path))
    except ValidationError as error:
        raise damage(str(path), error) from error
