"""Files for other engines: what LAMMPS would compute is what rung computes, or the file is not left."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms

from rung.backends import export, load_base
from rung.backends.cards import card_of
from rung.backends.mace.importing import environment_restored
from rung.backends.mace.lammps_atoms import LammpsAtoms
from rung.backends.mace.routes import ROUTES, evaluate_unified, loses_biases
from rung.backends.routes import convert, lammps_input
from rung.data.trial_structures import trial_structures
from rung.errors import MissingExtraError, ModelError
from rung.model.potential import ReadoutPotential
from rung.storage import content_hash
from tests.backends.comparison import direct
from tests.geometries import cell_structures, molecule_structures
from tests.mace_models import tiny_mace
from tests.several_fidelities import several


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory, testbed_base_path: Path) -> tuple[ReadoutPotential, Path]:
    """The testbed's base in float64, and its file."""
    potential = load_base(testbed_base_path, fidelity="pbe", dtype="float64")
    path = tmp_path_factory.mktemp("native") / "pbe.model"
    export(potential, "pbe", path)
    return potential, path


def test_pairs_and_ghosts_give_the_forces_of_the_whole(tmp_path: Path) -> None:
    """The model as MACE wraps it for ML-IAP, without the conversion to cuEquivariance, which only a user may have."""
    model = tiny_mace()
    model.lammps_mliap = True
    with environment_restored("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
        from mace.calculators.lammps_mliap_mace import LAMMPS_MLIAP_MACE

        torch.save(LAMMPS_MLIAP_MACE(model), tmp_path / "x.pt")
    structures = [one.atoms for one in [*molecule_structures()[:2], *cell_structures()[:2]]]
    structures = [atoms for atoms in structures if len(atoms) > 1]
    energies, forces = evaluate_unified(tmp_path / "x.pt", structures)
    from rung.backends.mace import wrap
    from rung.data.batch import collate
    from rung.data.structure import Structure

    potential = wrap(tiny_mace(), "low")
    for atoms, energy, force in zip(structures, energies, forces, strict=True):
        batch = collate([Structure(atoms, "", {})], ["low"], potential.cutoff)
        wanted = direct(tiny_mace(), batch)
        assert energy == pytest.approx(float(wanted.energy[0]), abs=1e-9)
        np.testing.assert_allclose(force, wanted.forces, rtol=0, atol=1e-9)


def test_ghosts_are_the_images_within_the_cutoff() -> None:
    atoms = Atoms("CO", positions=[[0, 0, 0], [1.2, 0, 0]], cell=[3.0, 20.0, 20.0], pbc=[True, False, False])
    sides = LammpsAtoms.of(atoms, 2.0, ["C", "O"])
    assert (sides.nlocal, sides.ntotal, sides.npairs) == (2, 4, 4)
    assert sides.owner.tolist()[2:] == sides.elems.tolist()[2:]
    np.testing.assert_allclose(sorted(np.linalg.norm(sides.rij, axis=1)), [1.2, 1.2, 1.8, 1.8])
    values = torch.arange(4.0, dtype=torch.float64)[:, None]
    out = torch.empty_like(values)
    sides.forward_exchange(values, out, 1)
    assert out[:, 0].tolist() == [0.0, 1.0, *sides.owner[2:].astype(float)]
    sides.reverse_exchange(torch.ones_like(values), out, 1)
    assert out[:, 0].tolist() == [2.0, 2.0, 0.0, 0.0]


@pytest.mark.parametrize("periodic", [0, 1, 2])
def test_trial_structures_are_usable(periodic: int) -> None:
    atoms = trial_structures([1, 16, 42])[periodic]
    assert set(atoms.numbers) == {1, 16, 42}
    distances = atoms.get_all_distances(mic=any(atoms.pbc))
    assert distances[distances > 0].min() > 1.5
    assert content_hash("x", trial_structures([1, 16, 42])[periodic].positions) == content_hash("x", atoms.positions)


def test_the_input_of_lammps_gives_the_masses() -> None:
    """ASE writes none into a data file by default, and LAMMPS starts no run without them."""
    lines = lammps_input("purpose", "pair_style mace", "pair_coeff * * {file} {elements}")("x.pt", ["S", "Mo"]).split(
        "\n"
    )
    assert [line.split() for line in lines if line.startswith("mass")] == [
        ["mass", "1", "32.06"],
        ["mass", "2", "95.95"],
    ]
    assert "pair_coeff * * x.pt S Mo" in lines


@pytest.mark.slow
def test_a_compiled_file_is_left_with_its_card_and_script(
    native: tuple[ReadoutPotential, Path], tmp_path: Path
) -> None:
    potential, path = native
    structures = trial_structures(sorted(potential.elements))
    card = card_of(potential, "pbe")
    made = convert(
        ROUTES["lammps"], path, tmp_path / "pbe.lammps.pt", potential=potential, structures=structures, card=card
    )
    assert made.energy < 1e-10
    assert made.force < 1e-9
    extra = {"rung.json": ""}  # as a C++ program reads it
    torch.jit.load(str(made.file), _extra_files=extra)
    assert b'"route": "lammps"' in extra["rung.json"]  # type: ignore[operator]
    assert "S Mo" in made.script.read_text()
    assert {one.name for one in tmp_path.iterdir()} == {"pbe.lammps.pt", "pbe.lammps.in"}


def altered(energy: float, force: float) -> Any:
    def evaluate(_: Path, structures: Sequence[Atoms]) -> tuple[list[float], list[np.ndarray]]:
        return [energy] * len(structures), [np.full((len(atoms), 3), force) for atoms in structures]

    return evaluate


@pytest.mark.parametrize(("energy", "force"), [(0.0, 0.0), (np.nan, np.nan)])
def test_a_file_that_differs_is_not_left(
    native: tuple[ReadoutPotential, Path], tmp_path: Path, energy: float, force: float
) -> None:
    potential, path = native
    wrong = replace(
        ROUTES["lammps"],
        convert=lambda source, out: out.write_bytes(source.read_bytes()),
        evaluate=altered(energy, force),
    )
    with pytest.raises(ModelError, match="differs from rung by"):
        convert(
            wrong,
            path,
            tmp_path / "x.pt",
            potential=potential,
            structures=trial_structures([16, 42]),
            card=card_of(potential, "pbe"),
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["mliap", "symmetrix"])
def test_biases_of_the_form_all_are_refused_where_a_conversion_loses_them(name: str, tmp_path: Path) -> None:
    potential = several("all")
    export(potential, "high", tmp_path / "high.model")
    with pytest.raises(ModelError, match="would lose them"):
        convert(
            ROUTES[name],
            tmp_path / "high.model",
            tmp_path / "x.pt",
            potential=potential,
            structures=trial_structures([1, 6, 8]),
            card=card_of(potential, "high"),
        )
    assert [one.name for one in tmp_path.iterdir()] == ["high.model"]
    export(several("embedding"), "high", tmp_path / "embedding.model")
    assert loses_biases(tmp_path / "embedding.model") == ""


def test_a_package_that_is_missing_is_named(native: tuple[ReadoutPotential, Path], tmp_path: Path) -> None:
    potential, path = native
    missing = {"mliap": "cuequivariance_torch", "symmetrix": "symmetrix"}
    for name, package in missing.items():
        try:
            __import__(package)
        except ImportError:
            with pytest.raises(MissingExtraError, match=package):
                convert(
                    ROUTES[name],
                    path,
                    tmp_path / "x",
                    potential=potential,
                    structures=trial_structures([16, 42]),
                    card=card_of(potential, "pbe"),
                )
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_file_of_ml_iap_with_cuequivariance(native: tuple[ReadoutPotential, Path], tmp_path: Path) -> None:
    """Runs where cuequivariance-torch is installed; it is in none of rung's extras."""
    pytest.importorskip("cuequivariance_torch")
    potential, path = native
    made = convert(
        ROUTES["mliap"],
        path,
        tmp_path / "pbe.mliap.pt",
        potential=potential,
        structures=trial_structures([16, 42]),
        card=card_of(potential, "pbe"),
    )
    assert made.energy < 1e-8
    assert made.force < 1e-7


def test_a_model_made_without_cuequivariance_opens_where_it_is_installed(tmp_path: Path) -> None:
    """MACE sets the flag of a reduced coupling whether or not it could reduce; it fails only with cuequivariance."""
    from rung.backends import dump, restore

    model = tiny_mace(use_reduced_cg=False, correlation=3)
    model.use_reduced_cg = True
    torch.save(model, tmp_path / "x.model")
    opened = load_base(tmp_path / "x.model", fidelity="low")
    assert opened.fingerprint == load_base(tmp_path / "x.model", fidelity="low", trusted=True).fingerprint
    again = restore(dump(opened))
    assert again.fingerprint == opened.fingerprint
    assert again.backbone.module.use_reduced_cg  # type: ignore[attr-defined]
