"""How model files are opened: what every command says of it, in the same words."""

from typing import Literal

from rung.settings import Settings


class Opening(Settings):
    """How model files are opened."""

    trusted: bool = False
    """A model file or module may run code while it loads: you know where it comes from."""
    head: str | None = None
    """The head (or modality) of a backend's file that has several."""
    device: str = "cpu"
    """Where models run, as torch spells it: cpu, cuda, cuda:1; an imported calculator decides for itself."""
    dtype: Literal["float32", "float64"] | None = None
    """The type in which models run; by default their own."""
    ignore_state: bool = False
    """Let a model that takes no charge, spin or magnetic moment run a structure that has one: its labels had it too."""
