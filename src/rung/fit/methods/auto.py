"""`auto`: fit the readout and all layers, and keep the one under which the energies are more probable.

Both are Gaussian models of the same energies with the same flat prior on E0, so their evidences compare: the
restricted likelihood with the hyper-parameters integrated over (Kass and Raftery, J. Am. Stat. Assoc. 90, 773, 1995).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from pydantic import model_validator
from scipy.special import softmax

from rung.errors import ConfigError
from rung.fit.lift import Context, FitResult, Lift
from rung.fit.linear.terms import Energies
from rung.fit.method import Designs, Expected, Method, NamedSettings, all_differences
from rung.fit.methods.readout import READOUT, ReadoutSettings
from rung.fit.methods.tangent import TANGENT, TangentSettings
from rung.results.fit import Alternative, FitDetails

EVIDENCE = "log_marginal"
"""The diagnostic that compares the fits."""


class AutoSettings(NamedSettings):
    """The readout fit or the tangent fit, whichever the energies make more probable."""

    name: Literal["auto"] = "auto"
    readout: ReadoutSettings = ReadoutSettings()
    """How the readout is fitted."""
    tangent: TangentSettings = TangentSettings()
    """How all layers are fitted."""

    @model_validator(mode="after")
    def _evidences_compare(self) -> Self:
        """Refuse evidences that do not compare: of other labels, of other errors, or with a prior on E0."""
        kinds = [term.kind for term in self.readout.terms]
        alone = {"pairs": "differences in place of energies", "reference": "a prior on E0"}
        for kind, what in alone.items():
            if kind in kinds:
                raise ValueError(
                    f"auto compares evidences of the same labels, and the term {kind} of readout has {what}"
                )
        if kinds.count("energies") != 1:
            raise ValueError("auto compares evidences of energies: readout needs the term energies, once")
        if self.readout.band is not None and self.readout.band.shape == "hinge":
            raise ValueError("auto compares evidences, and a hinge band has none; take a quadratic one")
        told = [term.label_error for term in self.readout.terms if isinstance(term, Energies)]
        if any(error != self.tangent.label_error for error in told):
            raise ValueError("auto compares evidences of the same labels: set label_error alike in readout and tangent")
        return self


@dataclass(frozen=True)
class Choice:
    """Fits of the same energies, and how probable each is with equal odds before.

    Parameters
    ----------
    fits
        By the name of the method.
    """

    fits: Mapping[str, FitResult]

    @property
    def evidence(self) -> Mapping[str, float]:
        """The logarithm of the evidence of each."""
        return {name: result.diagnostics[EVIDENCE] for name, result in self.fits.items()}

    @property
    def probability(self) -> Mapping[str, float]:
        """The share of each in all evidence."""
        shares = softmax(np.array([*self.evidence.values()]))
        return dict(zip(self.evidence, shares.tolist(), strict=True))

    @property
    def best(self) -> str:
        """The name of the most probable; of equal ones the first."""
        return max(self.evidence, key=self.evidence.__getitem__)

    @property
    def sentence(self) -> str:
        """Which fit this is, and how surely."""
        best, share = self.best, self.probability[self.best]
        others = " and ".join(name for name in self.fits if name != best)
        sure = f"{share:.2f}" if share < 0.995 else "above 0.99"
        return f"auto kept {best}: beside {others} the energies give it a probability of {sure}."

    @property
    def alternatives(self) -> tuple[Alternative, ...]:
        """One row a fit, for the report."""
        return tuple(
            Alternative(name=name, log_evidence=self.evidence[name], note=f"probability {self.probability[name]:.2g}")
            for name in self.fits
        )


def fit_auto(lift: Lift, settings: AutoSettings, context: Context) -> FitResult:
    """Fit the readout and all layers in closed form, and return the result of more evidence.

    Parameters
    ----------
    lift
        Training frames and the base, whose backend must be able to train. Validation structures are not used.
    settings
        Of both fits.
    context
        Seed, device, cache, progress.

    Raises
    ------
    ConfigError
        When there is no base, or the readout's hyper-parameters are not chosen by evidence.
    FitError
        When no training frame carries a target energy.
    """
    if settings.readout.choose != "evidence":
        raise ConfigError("auto compares evidences, so its readout takes choose: evidence; name readout alone instead.")
    lift.require_base("auto")
    lift.require_labelled()
    choice = Choice(
        {
            READOUT.name: READOUT.fit(lift, settings.readout, context),
            TANGENT.name: TANGENT.fit(lift, settings.tangent, context),
        }
    )
    return described(choice, settings)


def described(choice: Choice, settings: AutoSettings) -> FitResult:
    """Return the best fit of ``choice`` with what was weighed against what."""
    best = choice.fits[choice.best]
    evidences = {f"{EVIDENCE}[{name}]": value for name, value in choice.evidence.items()}
    return replace(
        best,
        settings=settings,
        diagnostics={**best.diagnostics, **evidences, "probability": choice.probability[choice.best]},
        details=best.details.with_tables(
            FitDetails(alternatives=choice.alternatives, notes=(choice.sentence, *best.details.notes))
        ),
    )


def _designs(settings: AutoSettings) -> Designs[AutoSettings] | None:
    inner = READOUT.designs(settings.readout)
    if inner is None:
        return None
    return Designs(lambda lift, chosen, context: inner.prepare(lift, chosen.readout, context), inner.forces)


def _expected(lift: Lift, settings: AutoSettings, context: Context) -> Expected:
    """Return what both fits take together; the weights are those of the larger one."""
    assert READOUT.expect is not None and TANGENT.expect is not None  # noqa: S101 - both records give one
    readout, tangent = READOUT.expect(lift, settings.readout, context), TANGENT.expect(lift, settings.tangent, context)
    return replace(
        tangent,
        designs=readout.designs,
        seconds=readout.seconds + tangent.seconds,
        memory=max(readout.memory, tangent.memory),
    )


AUTO = Method(
    settings=AutoSettings,
    fit=fit_auto,
    base="needed",
    designs=_designs,
    expect=_expected,
    differences=all_differences,
)
