"""Labels far off what all others predict: one that is wrong by electronvolts takes most of a fit's gain."""

from collections.abc import Sequence

import numpy as np

from rung.data.labels import Array

FAR = 6.0
"""Times the middle distance, by the median: over draws of the three systems of the testbed good labels reach five."""

ENOUGH = 10
"""Labels, of which a median tells what is usual."""

NAMED = 3


def outlying(names: Sequence[str], error: Array, variance: Array) -> tuple[str, ...]:
    """Return a warning that names labels far off what the others predict; nothing where there is none.

    A wrong label widens the error bars of all, so that distances are compared with the middle one.

    Parameters
    ----------
    names
        Of the labelled structures.
    error, variance
        Of each label when it is left out, eV and eV², shape ``(n,)``; NaN where the others do not tell it.
    """
    known = np.flatnonzero(np.isfinite(variance))
    if len(known) < ENOUGH:
        return ()
    distance = np.abs(error[known]) / np.sqrt(variance[known])
    usual = 1.4826 * float(np.median(distance))
    far = known[distance > FAR * usual]
    if not len(far) or usual == 0.0:
        return ()
    worst = far[np.argsort(-np.abs(error[far]))]
    listed = ", ".join(f"{names[k]} by {error[k]:+.3g} eV" for k in worst[:NAMED])
    more = f" and {len(worst) - NAMED} more" if len(worst) > NAMED else ""
    return (
        f"Energies are far off what all others predict, over {FAR:.0f} times the usual distance: {listed}{more}. A "
        "wrong label takes much of what the others gain: look at these calculations, and leave out those that failed.",
    )
