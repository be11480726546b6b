"""MACE (mace-torch 0.3.16): load, features, export, and plain data to build a model again."""

from rung.backends.mace.importing import import_mace

import_mace()  # before any module below imports mace, which would change torch.load for the whole process

from rung.backends.mace.backbone import MaceBackbone, wrap  # noqa: E402
from rung.backends.mace.export import export, native_model  # noqa: E402
from rung.backends.mace.files import load  # noqa: E402
from rung.backends.mace.plain import dump, restore  # noqa: E402

__all__ = ["MaceBackbone", "dump", "export", "load", "native_model", "restore", "wrap"]
