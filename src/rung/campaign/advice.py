"""What else would help a campaign, in sentences: where labels of this pool do not, something else has to."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from rung.campaign.questions import BarrierQuestion, Question
from rung.results.campaign import Answer, QuestionOutlook, Round

WASTE = 3.0
"""How many times more precise than the model's own error labels are waste."""

MOVED = 2.0
"""By how many bars an answer may move from one round to the next."""


def advice(
    questions: Mapping[str, Question], rounds: Sequence[Round], stderrs: Sequence[float], own_error: float, method: str
) -> tuple[str, ...]:
    """Return what else would help.

    Parameters
    ----------
    questions
        What is asked.
    rounds
        All so far.
    stderrs
        Errors that labels may have, eV.
    own_error
        The model's own error of a structure of mean size, eV; NaN where it is not known.
    method
        Of the fits.
    """
    answered = [one for one in rounds if one.answers]
    if not answered:
        return ()
    outlook = next((one.outlook for one in reversed(rounds) if one.outlook), ())
    said = [
        sentence for answer in answered[-1].answers for sentence in _of(answer, questions[answer.name], outlook, method)
    ]
    said += [sentence for one in answered[-1].answers if (sentence := _moved(one, answered[:-1]))]
    if np.isfinite(own_error) and WASTE * min(stderrs) < own_error:
        said.append(
            f"The model's own error of a structure of mean size is {own_error:.3f} eV, and labels of {min(stderrs):g} "
            "eV are offered: less precise labels would tell almost as much for less."
        )
    return tuple(said)


def _of(answer: Answer, question: Question, outlook: Sequence[QuestionOutlook], method: str) -> Iterator[str]:
    name, unit, tolerance = answer.name, answer.unit, question.tolerance
    if answer.domain == "outside":
        closed = isinstance(question, BarrierQuestion) and not question.propose
        images = " propose: true lets the images of its band be labelled." if closed else ""
        yield (
            f"{name}: outside the domain, so its bar does not count. Labels of structures like it would bring it "
            f"inside, and a base that was trained on such structures.{images}"
        )
    if not np.isfinite(answer.bar) or answer.bar <= tolerance:
        return
    least = next((one.least for one in outlook if one.name == name), float("nan"))
    if answer.model_error > tolerance:
        other = "the method auto or tangent" if method == "readout" else "another method"
        yield (
            f"{name}: the model's own error alone is {answer.model_error:.3f} {unit}, more than the tolerance of "
            f"{tolerance:g}. A better base, {other}, or structures nearer to the question would help more than labels."
        )
    elif least > tolerance:
        yield (
            f"{name}: with every candidate labelled the bar would still be {least:.3f} {unit}. Add structures that are "
            "like the question to the pool."
        )


def _moved(answer: Answer, before: Sequence[Round]) -> str:
    """Return a sentence where an answer moved by more than its bars allow; empty where it did not."""
    earlier = [one for each in before for one in each.answers if one.name == answer.name and np.isfinite(one.value)]
    if not earlier or not np.isfinite([answer.value, answer.bar, earlier[-1].bar]).all():
        return ""
    step = abs(answer.value - earlier[-1].value)
    if step <= MOVED * np.hypot(answer.bar, earlier[-1].bar):
        return ""
    return (
        f"{answer.name}: the last labels moved it by {step:.3f} {answer.unit}, more than its bars allow: they are too "
        "small. A better base or another method would make them right."
    )
