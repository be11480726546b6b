"""SevenNet's files for LAMMPS: what pair_e3gnn would compute with them is what rung computes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from rung import checkpoint
from rung.backends import export, load_base, route_to
from rung.backends.cards import card_in, card_of
from rung.backends.routes import convert, run_converter
from rung.backends.sevenn.routes import CONVERTER, ROUTES, evaluate_serial
from rung.cli import main
from rung.data.structure import Structure
from rung.data.trial_structures import trial_structures
from rung.errors import ConfigError, ModelError
from rung.model.potential import ReadoutPotential
from tests.backends.sevenn.lammps_parallel import evaluate_parallel
from tests.backends.sevenn.test_export import lifted
from tests.backends.sevenn.test_parity import ENERGY, FORCES, frames
from tests.contract.checks import predict
from tests.sevennet_models import shipped, write_sevennet


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> tuple[ReadoutPotential, Path]:
    """A lifted model of two modalities, and its checkpoint of the target."""
    folder = tmp_path_factory.mktemp("native")
    write_sevennet(folder / "two.pth", modalities=("a", "b"))
    potential = lifted(load_base(folder / "two.pth", fidelity="low", head={"low": "a", "high": "b"}), "high")
    export(potential, "high", folder / "high.pth")
    return potential, folder / "high.pth"


def hold(energies: list[float], forces: list[np.ndarray], potential: ReadoutPotential, structures: list[Atoms]) -> None:
    """Hold what LAMMPS would say against rung, to what float32 leaves."""
    rows = [Structure(atoms, "", {}) for atoms in structures]
    own = predict(potential, rows, "high")
    sizes = np.array([max(len(atoms), 3) for atoms in structures])
    assert (np.abs(energies - own.energy.numpy()) <= ENERGY * sizes).all()
    np.testing.assert_allclose(np.concatenate(forces), own.forces, rtol=0, atol=FORCES)


@pytest.mark.slow
def test_the_serial_file_of_get_model(
    native: tuple[ReadoutPotential, Path], structures: list[Structure], tmp_path: Path
) -> None:
    """Molecules, crystals and a cell of one atom, whose neighbours are its own images."""
    potential, path = native
    ROUTES["lammps"].convert(path, tmp_path / "made.pt")
    bound = [one.atoms for one in structures if len(one) > 1 or one.atoms.pbc.any()]
    assert len(bound) >= 3
    energies, forces = evaluate_serial(tmp_path / "made.pt", bound)
    hold(energies, forces, potential, bound)
    assert max(float(np.abs(one).max()) for one in forces) > 100 * FORCES


@pytest.mark.slow
def test_the_parallel_files_of_get_model(
    native: tuple[ReadoutPotential, Path], structures: list[Structure], tmp_path: Path
) -> None:
    """The atoms stand on two processes, so that every file takes ghosts."""
    potential, path = native
    (tmp_path / "high.pth").write_bytes(path.read_bytes())
    files = [tmp_path / "deployed_parallel" / f"deployed_parallel_{number}.pt" for number in range(3)]
    (tmp_path / "deployed_parallel").mkdir()
    run_converter("SevenNet", CONVERTER, ["get_model", "-p", str(path), "-o", str(files[0].parent)], files[-1])
    bound = [one.atoms for one in structures if len(one) > 1]
    assert len(bound) >= 3
    energies, forces = zip(*(evaluate_parallel(files, atoms) for atoms in bound), strict=True)
    hold(list(energies), list(forces), potential, bound)


@pytest.mark.slow
def test_a_lifted_shipped_model_is_left_with_its_card_and_script(tmp_path: Path) -> None:
    """Of 89 elements and in float64, where the file is in float32."""
    base = load_base(shipped("SevenNet_MF_0"), fidelity="low", head={"low": "PBE", "high": "R2SCAN"}, dtype="float64")
    potential = lifted(base, "high")
    export(potential, "high", tmp_path / "high.pth")
    bound = [atoms for atoms in frames() if len(atoms) > 1]
    made = convert(
        ROUTES["lammps"],
        tmp_path / "high.pth",
        tmp_path / "high.lammps.pt",
        potential=potential,
        structures=[*bound, *trial_structures(sorted(potential.elements))],
        card=card_of(potential, "high"),
    )
    assert made.energy <= ENERGY
    assert made.force <= FORCES
    card = card_in(made.file)
    assert card is not None
    assert card.route == "lammps"
    script = made.script.read_text()
    assert "pair_coeff      * * high.lammps.pt H He Li" in script
    assert "\npair_style      e3gnn\n" in script


def test_a_file_that_differs_is_not_left(native: tuple[ReadoutPotential, Path], tmp_path: Path) -> None:
    """The other fidelity's checkpoint stands for a conversion that went wrong: differences of a meV are seen."""
    potential, path = native

    def wrong(file: Path, structures: list[Atoms]) -> tuple[list[float], list[np.ndarray]]:
        own = [predict(potential, [Structure(atoms, "", {})], "high") for atoms in structures]
        return [float(one.energy[0]) + 1e-3 * len(one.forces) for one in own], [one.forces.numpy() for one in own]

    route = replace(ROUTES["lammps"], convert=lambda source, out: out.write_bytes(source.read_bytes()), evaluate=wrong)
    with pytest.raises(ModelError, match="differs from rung by 1 meV/atom"):
        convert(
            route,
            path,
            tmp_path / "high.lammps.pt",
            potential=potential,
            structures=trial_structures([1, 6, 8]),
            card=card_of(potential, "high"),
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("engine", "what"),
    [("mliap", "sevenn get_model FILE -mliap"), ("symmetrix", "take --for lammps"), ("x", "is: lammps")],
)
def test_other_engines_are_refused_with_what_to_do(
    native: tuple[ReadoutPotential, Path],
    engine: str,
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    potential, _ = native
    with pytest.raises(ConfigError, match=what):
        route_to(engine, potential, "high")
    monkeypatch.chdir(tmp_path)
    checkpoint.save(tmp_path / "model.rung", potential, metadata={"target": "high"})
    assert main(["export", "model.rung", "--fidelity", "high", "--for", engine]) == 2
    assert what in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["model.rung"]
