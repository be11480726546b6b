"""What error labels have for which nobody stated one: the size that makes all labels most probable.

A deterministic energy is off by its thresholds, grids and fitted densities. Such an error is new for each label; the
model's own error belongs to environments. Labels of one size in different environments hardly tell the two apart, so
that a hyper-prior decides there.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp

from rung.data.labels import Array
from rung.errors import counted
from rung.fit.linear.evidence import HyperPrior, infer
from rung.fit.linear.terms import Assembly, Choice, required_label_error

PRIOR = HyperPrior(1e-3, 1.5)
"""Of the error, eV: a carefully converged calculation is off by 0.1 meV, a careless one by 10."""

SIZES = np.geomspace(1e-4, 0.1, 10)
"""eV, over which it is integrated."""


@dataclass(frozen=True)
class LabelError:
    """The error of each label without one.

    Parameters
    ----------
    value
        The root of the mean of its square, eV.
    low, high
        Its central interval of 68 %, eV.
    count
        How many labels have none.
    """

    value: float
    low: float
    high: float
    count: int

    @property
    def sentence(self) -> str:
        """What a user must know of it."""
        return (
            f"{counted(self.count, 'label carries', 'labels carry')} no energy_stderr: evidence gives each an error of "
            f"{1e3 * self.value:.2g} meV (68 %: {1e3 * self.low:.2g} to {1e3 * self.high:.2g}); errors much below the "
            "model's own are not told from none."
        )


def with_label_error(assembly: Assembly, exact: Array, choice: Choice) -> tuple[Assembly, LabelError | None]:
    """Return the assembly whose labels without an error have the one that is chosen, and what evidence says of it.

    Parameters
    ----------
    assembly
        With its data.
    exact
        How many labels without an error stand in each datum, shape ``(n,)``.
    choice
        eV, or ``auto``.

    Raises
    ------
    ConfigError
        When the choice is negative.
    """
    if choice == "auto":
        return fitted_label_error(replace(assembly, exact=exact)) if exact.any() else (assembly, None)
    return _at(assembly, exact, required_label_error(choice)), None


def fitted_label_error(assembly: Assembly) -> tuple[Assembly, LabelError]:
    """Return the assembly with the error that evidence gives to labels without one, and what that is.

    Parameters
    ----------
    assembly
        Whose ``exact`` says how such labels stand in the data.
    """
    exact = assembly.exact
    assert exact is not None  # noqa: S101 - the caller asks only where there are such labels
    models = [_at(assembly, exact, size).model for size in SIZES]
    evidence = np.array([infer(model, assembly.priors, n_points=1).log_marginal for model in models])
    logarithm = evidence - 0.5 * ((np.log(SIZES) - np.log(PRIOR.median)) / PRIOR.width) ** 2
    weights = np.exp(logarithm - logsumexp(logarithm))
    value = float(np.sqrt(weights @ SIZES**2))
    cumulative = np.cumsum(weights) - 0.5 * weights
    low, high = np.exp(np.interp([0.16, 0.84], cumulative, np.log(SIZES)))
    count = int(np.count_nonzero(exact if exact.ndim == 1 else np.diag(exact)))
    return _at(assembly, exact, value), LabelError(value, float(low), float(high), count)


def _at(assembly: Assembly, exact: Array, size: float) -> Assembly:
    data = assembly.model.data.with_variance(size**2 * exact)
    return replace(assembly, model=replace(assembly.model, data=data), exact=None)
