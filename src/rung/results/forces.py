"""What energies alone did to forces, in words: the first thing that a reader of a lift must know."""

from rung.results.metrics import Evaluation, SplitErrors, by_split

NO_BETTER = 0.02
"""Relative change of an error of forces within which they are called no better."""


def force_verdicts(evaluation: Evaluation) -> tuple[str, ...]:
    """Return a sentence for each split and fidelity on which forces got worse, or no better, beside the base.

    Energies that improve can hide it. A surface that the fit did not touch is passed over: all of its errors are the
    base's. So are other fidelities than the target, where it is known: what a training forgot of them is a warning of
    its own, and says nothing of the forces that were asked for.
    """
    base = by_split(evaluation.base)
    found = [
        _verdict(split, fidelity, after, base[split, fidelity])
        for (split, fidelity), after in by_split(evaluation.splits).items()
        if (split, fidelity) in base and fidelity == (evaluation.target or fidelity)
    ]
    return tuple(sentence for sentence in found if sentence)


def _verdict(split: str, fidelity: str, after: SplitErrors, before: SplitErrors) -> str:
    if (after.energy_rmse, after.force_rmse) == (before.energy_rmse, before.force_rmse):
        return ""
    numbers = f"{after.force_rmse:.0f} against {before.force_rmse:.0f} meV/Å"
    if after.force_rmse > (1.0 + NO_BETTER) * before.force_rmse:
        return (
            f"On {split} the {fidelity} forces are worse than the base's, {numbers}{_energies(after, before)}: do not "
            "use this model for forces."
        )
    if after.force_rmse > (1.0 - NO_BETTER) * before.force_rmse:
        return f"On {split} the {fidelity} forces are no better than the base's, {numbers}{_energies(after, before)}."
    return ""


def _energies(after: SplitErrors, before: SplitErrors) -> str:
    if not after.energy_rmse < before.energy_rmse:
        return ""
    return f", though energies improve from {before.energy_rmse:.1f} to {after.energy_rmse:.1f} meV/atom"
