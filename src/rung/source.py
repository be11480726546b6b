"""Where a potential comes from, and how it is opened: what every command says of a model in the same words."""

from typing import Literal

from rung.settings import Settings


class Opening(Settings):
    """How model files are opened."""

    trusted: bool = False
    """Model files may be loaded though they could run code: you know where they come from."""
    device: str = "cpu"
    """Where models run, as torch spells it: cpu, cuda, cuda:1."""
    dtype: Literal["float32", "float64"] | None = None
    """The type in which models run; by default their own."""
