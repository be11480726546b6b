"""Importing sevenn without what it does to the rest of the process."""

import contextlib
import io
import warnings

import torch

from rung.errors import MissingExtraError


def import_sevenn() -> None:
    """Import ``sevenn`` and ``e3nn``, leaving warnings, the terminal and torch's default type as they were.

    Raises
    ------
    MissingExtraError
        When one of them is not installed, or e3nn is that of MACE, which is too old.
    """
    dtype = torch.get_default_dtype()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            import sevenn.checkpoint  # noqa: PLC0415 - an optional package, imported when a SevenNet file is used
            import sevenn.model_build  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"A SevenNet model needs the package {error.name!r}, which is not installed: make an environment of its "
            "own and there pip install 'rung[sevenn]' (mace-torch pins another e3nn)."
        ) from error
    except ValueError as error:  # sevenn says so of an e3nn before 0.5
        raise MissingExtraError(
            f"sevenn does not run beside what is installed here ({error}); make an environment of its own for it: "
            "pip install 'rung[sevenn]'."
        ) from error
    finally:
        torch.set_default_dtype(dtype)
