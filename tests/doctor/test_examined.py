"""What the base is asked, and which of its fidelities."""

from dataclasses import replace

import pytest

from rung.doctor import diagnose
from rung.errors import ConfigError
from tests.doctor.analytic import Morse, relabelled
from tests.doctor.sabotage import at, everywhere, found, hartree


def test_the_base_is_asked_little_and_always_the_same(nickel):
    asked = []

    class Counting(Morse):
        def predict(self, batch, *, forces=True, stress=False):
            asked.append((batch.n_rows, forces))
            return super().predict(batch, forces=forces, stress=stress)

    splits = {"train": nickel["train"] * 4, "test": nickel["test"] * 4}
    first = diagnose(splits, target="dear", base=Counting(), base_fidelity="cheap")
    assert sum(rows for rows, forces in asked if forces) <= 30
    assert all(forces for _, forces in asked)  # every frame has a cheap energy, so no more are needed
    assert first == diagnose(splits, target="dear", base=Counting(), base_fidelity="cheap")


def test_a_base_with_several_fidelities_must_be_told_which(nickel):
    class Two(Morse):
        fidelities = ("cheap", "other")

    with pytest.raises(ConfigError, match="name the fidelity"):
        diagnose(nickel, base=Two())
    with pytest.raises(ConfigError, match=r"Unknown fidelity 'chap'; there is: cheap. Did you mean 'cheap'"):
        diagnose(nickel, base=Morse(), base_fidelity="chap")


def test_an_energy_without_another_fidelity_is_held_against_the_base(nickel):
    only = tuple(replace(s, labels={"dear": replace(s.labels["dear"], energy_stderr=0.01)}) for s in nickel["train"])
    base = Morse()
    assert not found(diagnose({"train": only}, target="dear", base=base, base_fidelity="cheap"))
    assert ("error", "energy-unit") in found(
        diagnose({"train": everywhere("dear", energy=hartree)(only)}, target="dear", base=base, base_fidelity="cheap")
    )
    wild = at({7}, lambda s: relabelled(s, "dear", energy=lambda e: e + 5.0))(only)
    diagnosis = diagnose({"train": wild}, target="dear", base=base, base_fidelity="cheap")
    assert [f.structures for f in diagnosis.findings if f.code == "outliers"] == [("train-7",)]
