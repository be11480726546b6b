"""MACE (mace-torch 0.3.16). Importing this package needs no engine; :mod:`rung.backends.mace.engine` imports it."""

from rung.backends.mace.backbone import MaceBackbone, wrap

__all__ = ["MaceBackbone", "wrap"]
