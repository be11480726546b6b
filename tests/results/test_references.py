"""What is said of energies without reference energies: nothing where there are none."""

from rung.results.references import OpenReferences, open_sentences


def test_only_splits_with_open_references_are_named_with_the_way_out() -> None:
    found = {
        "test": OpenReferences(n_open=3, n_energies=12, formulas=("CO2", "CH4O")),
        "other": OpenReferences(n_open=0, n_energies=4),
    }
    assert open_sentences(found) == (
        "The labels leave reference energies open for 3 of 12 energies of test (such as CO2, CH4O): errors of their "
        "energies say nothing of the fit; label a structure of each composition that is judged, or read the error with "
        "one offset per composition (energy_rmse_rel).",
    )


def test_parts_of_a_split_add_up() -> None:
    one = OpenReferences(n_open=3, n_energies=12, formulas=("A", "B", "C"))
    other = OpenReferences(n_open=1, n_energies=2, formulas=("C", "D", "E"))
    assert other.plus(one) == OpenReferences(n_open=4, n_energies=14, formulas=("A", "B", "C", "D"))
    assert one.plus(None) == one
