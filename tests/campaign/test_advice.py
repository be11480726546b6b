"""What else would help: said where labels alone do not, and not where they do."""

from pathlib import Path
from typing import Any

import numpy as np

from rung.campaign.advice import advice
from rung.campaign.questions import BarrierQuestion
from rung.results.campaign import Answer, QuestionOutlook, Round

HOP = BarrierQuestion(initial=Path("a.xyz"), final=Path("b.xyz"), tolerance=0.05, propose=False)


def round_with(number: int = 1, least: float = 0.01, **changes: Any) -> Round:
    told = {"value": 0.5, "bar": 0.04, "model_error": 0.01, "domain": "inside", **changes}
    answer = Answer(name="hop", kind="barrier", unit="eV", verdict="", **told)
    outlook = (QuestionOutlook(name="hop", now=0.1, then=0.08, least=least),)
    return Round(
        number=number,
        n_energies=9,
        n_labels=9,
        cost=9,
        cpu_seconds=0,
        answers=(answer,),
        inside=(False,),
        outlook=outlook,
    )


def said(*rounds: Round, own_error: float = np.nan, stderr: float = 0.03) -> str:
    return " ".join(advice({"hop": HOP}, rounds, (stderr,), own_error, "readout"))


def test_nothing_is_said_where_labels_do_it() -> None:
    assert said() == ""
    assert said(round_with()) == ""
    assert said(round_with(bar=0.09)) == ""  # labels left would bring it below


def test_a_model_s_own_error_above_the_tolerance_asks_for_another_model() -> None:
    text = said(round_with(bar=0.2, model_error=0.15))
    assert "the model's own error alone is 0.150 eV" in text
    assert "A better base, the method auto or tangent" in text


def test_a_pool_that_cannot_do_it_is_named() -> None:
    assert "with every candidate labelled the bar would still be 0.080 eV" in said(round_with(bar=0.2, least=0.08))


def test_outside_the_domain_is_said_with_what_closes_it() -> None:
    text = said(round_with(domain="outside"))
    assert "hop: outside the domain, so its bar does not count" in text
    assert "propose: true" in text


def test_an_answer_that_moves_more_than_its_bars_is_not_trusted() -> None:
    assert "moved it by 0.500 eV" in said(round_with(), round_with(2, value=1.0))
    assert "moved" not in said(round_with(), round_with(2, value=0.55))


def test_labels_that_are_too_precise_are_named() -> None:
    assert "less precise labels" in said(round_with(), own_error=0.2)
    assert "less precise" not in said(round_with(), own_error=0.05)
