"""The parts of mace-torch and e3nn that rung uses: every other module takes them from here.

So whichever module comes first, the engine is imported as :func:`~rung.backends.mace.importing.import_mace` does it,
and a package that is missing is named with its extra.
"""

from rung.backends.mace.importing import import_mace

import_mace()

from e3nn import o3  # noqa: E402
from mace import modules  # noqa: E402
from mace.modules import lora  # noqa: E402

__all__ = ["lora", "modules", "o3"]
