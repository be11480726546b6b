"""The parts of sevenn and e3nn that rung uses: every other module takes them from here.

So whichever module comes first, the engine is imported as :func:`~rung.backends.sevenn.importing.import_sevenn` does
it, and a package that is missing is named with its extra.
"""

from rung.backends.sevenn.importing import import_sevenn

import_sevenn()

import e3nn  # noqa: E402
from sevenn import checkpoint, model_build  # noqa: E402
from sevenn.scripts import backward_compatibility  # noqa: E402

__all__ = ["backward_compatibility", "checkpoint", "e3nn", "model_build"]
