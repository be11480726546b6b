"""Whose work a folder holds: keys that rung 0.1 wrote still hold, and other work is refused."""

from pathlib import Path

import pytest
from ase import Atoms
from ase.constraints import FixAtoms

from rung.errors import DataError
from rung.evaluate.dynamics.md import MDSettings, run_key
from rung.evaluate.dynamics.settings import DynamicsSettings
from rung.evaluate.free_energy.umbrella import UmbrellaSettings
from rung.evaluate.identity import claim, exact_geometry, geometry_key, is_claimed
from rung.evaluate.paths.barrier import BarrierSettings, band_key

START = Atoms("HO", positions=[[0, 0, 0.1], [1.5, 0, 0]], cell=[5, 6, 7], pbc=True)
START.set_constraint(FixAtoms([1]))


def test_keys_are_those_of_folders_that_rung_0_1_began() -> None:
    """A key that changed would refuse every half-done folder there is; these are what version 0.1.0 computed."""
    run = MDSettings(temperature=300, steps=5, timestep=0.5, friction=1e-7, leverage_limit=3)
    assert run_key(START, run, "dmc 1") == "3f91fc2b906cb6107a6684d113320f35"
    windows = UmbrellaSettings(temperature=300, centres=(0.0, 0.25), seed=3)
    assert windows.key(START, "cv", exact_geometry(START)) == "6108b03d521c8f8ceb44634b763e0d06"
    stiff = windows.model_copy(update={"spring": 2.5})
    band = [exact_geometry(START)] * 3
    assert stiff.key(START, "cv", *band) == "b1f412785e5e0cfd658a5df16d5be4b8"
    moved = START.copy()
    moved.positions[0, 0] = 1
    assert band_key(START, moved, BarrierSettings(images=5), None) == "29307a0f844f1621da93f49bcfebe2ce"


@pytest.mark.parametrize("settings", [MDSettings, UmbrellaSettings])
def test_every_setting_of_dynamics_decides_unless_it_may_grow(settings: type[DynamicsSettings]) -> None:
    assert set(settings.decides) == set(settings.model_fields) - {"steps", "save_every"}


def test_the_same_work_goes_on_and_other_work_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "run.json"
    assert not is_claimed(marker, "one")
    claim(marker, "one", holds="the run", other="another start", energy=-1.0)
    claim(marker, "one", holds="the run", other="another start", energy=-1.0005)
    assert is_claimed(marker, "one")
    assert not is_claimed(marker, "two")
    with pytest.raises(DataError, match="holds the run of another start; choose another folder or remove it"):
        claim(marker, "two", holds="the run", other="another start", energy=-1.0)
    with pytest.raises(DataError, match=r"of another potential \(the start structure has -1.000000 eV there"):
        claim(marker, "one", holds="the run", other="another start", energy=-1.1)


def test_a_geometry_is_known_again_up_to_its_last_digits() -> None:
    near, far = START.copy(), START.copy()
    near.positions += 1e-9
    far.positions[0] += 0.01
    assert geometry_key(START) == geometry_key(near) != geometry_key(far)
