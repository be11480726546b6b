"""`auto`: it keeps the fit of more evidence as it is, and says how surely."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rung.backends import export, load_base
from rung.data.batch import by_count
from rung.errors import ConfigError, FitError
from rung.fit.linear.terms import Band, Energies, EnergyPairs, ReferencePrior, WeightPrior
from rung.fit.methods.auto import EVIDENCE, AutoSettings, Choice, described, fit_auto
from rung.fit.methods.readout import ReadoutSettings, fit_readout
from rung.fit.methods.tangent import TangentSettings, fit_tangent
from rung.model.predictions import predict_structures
from tests.fit.lifts import lift_of
from tests.fit.methods.test_tangent import CONTEXT, frames


@pytest.fixture(scope="module")
def fits(tiny_potential, molecules):
    lift = lift_of(frames(molecules), tiny_potential)
    return lift, {
        "readout": fit_readout(lift, ReadoutSettings(), CONTEXT),
        "tangent": fit_tangent(lift, TangentSettings(), CONTEXT),
    }


def energies(potential, structures):
    return np.array([one.energy for one in predict_structures(potential, by_count(structures, 4), "high")])


def test_the_fit_of_more_evidence_is_returned_as_it_is(fits, tmp_path):
    lift, both = fits
    result = fit_auto(lift, AutoSettings(), CONTEXT)
    best = max(both, key=lambda name: both[name].diagnostics[EVIDENCE])
    assert_allclose(energies(result.potential, lift.train), energies(both[best].potential, lift.train), atol=1e-9)
    assert type(result.posterior) is type(both[best].posterior)
    for name, one in both.items():
        assert_allclose(result.diagnostics[f"{EVIDENCE}[{name}]"], one.diagnostics[EVIDENCE], atol=1e-6)
    export(result.potential, "high", tmp_path / "high.model")
    assert_allclose(
        energies(load_base(tmp_path / "high.model", fidelity="high"), lift.train),
        energies(result.potential, lift.train),
        atol=1e-9,
    )


def test_probabilities_are_those_of_the_evidences(fits):
    _, both = fits
    choice = Choice(both)
    odds = np.exp(both["tangent"].diagnostics[EVIDENCE] - both["readout"].diagnostics[EVIDENCE])
    assert_allclose(choice.probability["tangent"] / choice.probability["readout"], odds, rtol=1e-9)
    assert_allclose(sum(choice.probability.values()), 1.0, rtol=1e-12)
    told = described(choice, AutoSettings())
    assert_allclose(told.diagnostics["probability"], max(choice.probability.values()))
    assert [row.name for row in told.details.alternatives] == ["readout", "tangent"]
    assert told.settings == AutoSettings()
    notes, own = told.details.notes, both[choice.best].details.notes
    assert notes[0].startswith(f"auto kept {choice.best}: ") and notes[1:] == own


def test_what_has_no_evidence_or_no_base_is_refused(fits, molecules, tiny_potential):
    lift, _ = fits
    crossed = AutoSettings(readout=ReadoutSettings(choose="cross_validation"))
    with pytest.raises(ConfigError, match="choose: evidence"):
        fit_auto(lift, crossed, CONTEXT)
    with pytest.raises(ConfigError, match="needs a base"):
        fit_auto(lift_of(frames(molecules)), AutoSettings(), CONTEXT)
    with pytest.raises(FitError, match="high_energy"):
        fit_auto(lift_of(frames(molecules, labelled=0), tiny_potential), AutoSettings(), CONTEXT)


def test_evidences_of_labels_with_other_errors_do_not_compare():
    with pytest.raises(ValueError, match="set label_error alike"):
        AutoSettings(tangent=TangentSettings(label_error="auto"))
    terms = (Energies(label_error="auto"), WeightPrior())
    AutoSettings(readout=ReadoutSettings(terms=terms), tangent=TangentSettings(label_error="auto"))


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ((Energies(), EnergyPairs(pairs=(("a", "b"),)), WeightPrior()), "differences in place of energies"),
        ((Energies(), ReferencePrior(stderr=10.0), WeightPrior()), "a prior on E0"),
        ((WeightPrior(),), "needs the term energies, once"),
        ((Energies(), Band(shape="hinge"), WeightPrior()), "a hinge band has none"),
    ],
)
def test_evidences_of_other_data_or_priors_do_not_compare(terms, words):
    with pytest.raises(ValueError, match=words):
        AutoSettings(readout=ReadoutSettings(terms=terms))
