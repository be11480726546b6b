"""The verdict of a comparison's page: the table first, what must not be missed below it, all other sentences folded."""

from math import nan

from rung.report.read import StudyFiles
from rung.report.study.verdict import verdict
from rung.results.study import WORSE_FORCES, MethodComparison, StudyRow, StudySummary

MISSED = f"On test with 9 energies the forces of offset {WORSE_FORCES} (10 meV/Å): do not use these models for forces."
TOLD = "On test with 9 energies, offset: energies err by 2.0 meV/atom, a force component errs by 20 meV/Å."


def rows() -> tuple[StudyRow, ...]:
    """Return one draw of the base and of two methods."""
    errors = {"base": (3.0, 10.0), "offset": (2.0, 20.0), "readout": (1.0, 5.0)}
    return tuple(
        StudyRow(method=method, n_labels=9, seed=0, split="test", metric=metric, value=value)
        for method, values in errors.items()
        for metric, value in zip(("energy_rmse", "force_rmse"), values, strict=True)
    )


def compared() -> tuple[MethodComparison, ...]:
    """Return the two methods beside the better one."""
    return tuple(
        MethodComparison(
            split="test",
            metric="energy_rmse",
            n_labels=9,
            method=method,
            best=best,
            mean=mean,
            difference=mean - 1.0,
            spread=nan,
            n_draws=1,
            low=nan,
            high=nan,
            p=nan,
            worse=False,
            detectable=nan,
        )
        for method, mean, best in (("readout", 1.0, True), ("offset", 2.0, False))
    )


def test_only_what_must_not_be_missed_stands_beside_the_table() -> None:
    summary = StudySummary(title="", verdict=(TOLD, MISSED), comparisons=compared())
    page = verdict(StudyFiles(rows=rows(), summary=summary), lambda _: "")
    table, missed, folded, told = (page.index(part) for part in ("<table", "do not use", "<details", "energies err by"))
    assert table < missed < folded < told


def test_without_a_table_every_sentence_is_shown() -> None:
    page = verdict(StudyFiles(summary=StudySummary(title="", verdict=(TOLD, MISSED))), lambda _: "")
    assert "<details" not in page
    assert page.index("energies err by") < page.index("do not use")


def test_a_difference_of_one_draw_has_one_sign() -> None:
    """Where the least lacks a draw it may err more than another on those that both have."""
    least, other = compared()
    summary = StudySummary(title="", comparisons=(least, other.model_copy(update={"difference": -0.5})))
    page = verdict(StudyFiles(rows=rows(), summary=summary), lambda _: "")
    assert "−0.500; one draw" in page and "+" not in page.split("one draw")[0][-12:]


def test_methods_without_a_draw_in_common_have_no_difference() -> None:
    least, other = compared()
    summary = StudySummary(title="", comparisons=(least, other.model_copy(update={"difference": nan, "n_draws": 0})))
    assert "no draw in common" in verdict(StudyFiles(rows=rows(), summary=summary), lambda _: "")
