"""Collective variables: gradients against finite differences, values known by hand, and what is refused."""

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from rung.errors import ConfigError, DataError
from rung.evaluate.free_energy.collective import (
    DistanceDifferenceSettings,
    PathSettings,
    ProjectedDisplacementSettings,
    collective_variable,
    read_band,
    read_collective,
)


def cluster(seed=0):
    rng = np.random.default_rng(seed)
    return Atoms("C5", positions=rng.normal(scale=1.5, size=(5, 3)), cell=[9, 10, 11], pbc=True)


def hop_band(tmp_path, images=5, wrap=False):
    """Atom 4 moves by 2.4 Å along x in equal steps, beside the others' small answer."""
    band = []
    for place in np.linspace(0, 1, images):
        image = cluster()
        image.positions[4, 0] += 2.4 * place
        image.positions[0, 1] += 0.3 * place
        if wrap:
            image.positions += [8.0, 0, 0]
            image.wrap()
        band.append(image)
    write(tmp_path / "band.xyz", band, format="extxyz")
    return tmp_path / "band.xyz"


def differences(variable, positions, step=1e-5):
    found = np.zeros_like(positions)
    for index in np.ndindex(*positions.shape):
        ends = []
        for sign in (1, -1):
            moved = positions.copy()
            moved[index] += sign * step
            ends.append(variable.evaluate(moved)[0])
        found[index] = (ends[0] - ends[1]) / (2 * step)
    return found


@pytest.fixture
def settings(tmp_path):
    return {
        "distance": DistanceDifferenceSettings(first=(0, 1)),
        "difference": DistanceDifferenceSettings(first=(0, 1), second=(1, 3)),
        "displacement": ProjectedDisplacementSettings(atom=2, direction=(1, 2, -1)),
        "framework": ProjectedDisplacementSettings(atom=2, direction=(0, 1, 1), relative_to=(0, 1, 3)),
        "path": PathSettings(band=hop_band(tmp_path)),
        "chosen": PathSettings(band=hop_band(tmp_path), atoms=(0, 4), extend=1, sharpness=3.0),
    }


@pytest.mark.parametrize("name", ["distance", "difference", "displacement", "framework", "path", "chosen"])
def test_gradients_are_those_of_finite_differences(settings, name):
    start = cluster()
    variable = collective_variable(settings[name], start)
    rng = np.random.default_rng(5)
    for scale in (0.05, 0.3):
        positions = start.positions + rng.normal(scale=scale, size=(5, 3))
        positions[4, 0] += 1.1
        value, gradient = variable.evaluate(positions)
        assert np.isfinite(value)
        assert np.abs(gradient).max() > 1e-3
        np.testing.assert_allclose(gradient, differences(variable, positions), rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", ["distance", "difference", "framework", "path", "chosen"])
def test_moving_everything_changes_nothing(settings, name):
    start = cluster()
    variable = collective_variable(settings[name], start)
    assert variable.evaluate(start.positions + np.array([0.3, -0.2, 5.0]))[0] == pytest.approx(
        variable.evaluate(start.positions)[0], abs=1e-12
    )


def test_distances_are_the_shortest_over_periodic_images():
    start = Atoms("C3", positions=[[0.5, 0, 0], [8.5, 0, 0], [0.5, 3, 0]], cell=[9, 9, 9], pbc=True)
    variable = collective_variable(DistanceDifferenceSettings(first=(0, 1), second=(0, 2)), start)
    assert variable.evaluate(start.positions)[0] == pytest.approx(1.0 - 3.0)


def test_a_displacement_counts_along_its_direction_from_its_origin():
    start = cluster()
    moved = start.positions.copy()
    moved[2] += [0.3, 0.4, 7.0]
    plain = collective_variable(ProjectedDisplacementSettings(atom=2, direction=(3, 4, 0)), start)
    assert plain.evaluate(start.positions)[0] == 0.0
    assert plain.evaluate(moved)[0] == pytest.approx(0.5)
    absolute = ProjectedDisplacementSettings(atom=2, direction=(1, 0, 0), origin=(0, 0, 0))
    assert collective_variable(absolute, start).evaluate(moved)[0] == pytest.approx(moved[2, 0])


def test_an_end_gives_the_direction(tmp_path):
    start, end = cluster(), cluster()
    end.positions[4] += [-2.0, 0, 0]
    end.positions[4] += end.cell[0]
    write(tmp_path / "end.xyz", end, format="extxyz")
    variable = collective_variable(ProjectedDisplacementSettings(atom=4, end=tmp_path / "end.xyz"), start)
    np.testing.assert_allclose(variable.evaluate(start.positions)[1][4], [-1, 0, 0], atol=1e-7)


@pytest.mark.parametrize("wrap", [False, True])
def test_a_path_counts_its_images_evenly(tmp_path, wrap):
    start = cluster()
    path = hop_band(tmp_path, wrap=wrap)
    variable = collective_variable(PathSettings(band=path), start)
    values = [variable.evaluate(image.positions)[0] for image in read_band(path, start)]
    # images beyond both ends make the ends of the band places like any other
    np.testing.assert_allclose(values, np.linspace(0, 1, 5), atol=0.02)
    bare = collective_variable(PathSettings(band=path, extend=0), start)
    assert bare.evaluate(read_band(path, start)[0].positions)[0] > 0.02


def test_files_are_relative_and_keys_are_checked(tmp_path):
    hop_band(tmp_path)
    (tmp_path / "cv.yaml").write_text("kind: path\nband: band.xyz\n")
    assert read_collective(tmp_path / "cv.yaml").band == tmp_path / "band.xyz"
    (tmp_path / "cv.yaml").write_text("kind: projected_displacement\natm: 1\n")
    with pytest.raises(ConfigError, match="Did you mean 'atom'"):
        read_collective(tmp_path / "cv.yaml")
    (tmp_path / "cv.yaml").write_text("kind: distance\n")
    with pytest.raises(ConfigError, match="distance_difference"):
        read_collective(tmp_path / "cv.yaml")
    (tmp_path / "cv.yaml").write_text("- a\n")
    with pytest.raises(ConfigError, match="no collective variable"):
        read_collective(tmp_path / "cv.yaml")


def test_what_makes_no_sense_is_refused(tmp_path):
    start = cluster()
    cases = [
        (DistanceDifferenceSettings(first=(0, 5)), "no atom 5"),
        (DistanceDifferenceSettings(first=(1, 1)), "from itself"),
        (ProjectedDisplacementSettings(atom=-1, direction=(1, 0, 0)), "no atom -1"),
        (ProjectedDisplacementSettings(atom=0, direction=(0, 0, 0)), "no length"),
        (ProjectedDisplacementSettings(atom=0), "either a direction or an end"),
        (ProjectedDisplacementSettings(atom=0, direction=(1, 0, 0), relative_to=(0, 1)), "own framework"),
        (PathSettings(band=tmp_path / "none.xyz"), "There is no file"),
        (PathSettings(band=hop_band(tmp_path, images=2)), "at least three"),
    ]
    for given, said in cases:
        with pytest.raises(DataError, match=said):
            collective_variable(given, start)


def test_uneven_and_equal_images_are_refused(tmp_path):
    start = cluster()
    for places, said in (((0, 0, 1), "are the same"), ((0, 0.1, 1), "space them evenly")):
        band = []
        for place in places:
            image = cluster()
            image.positions[4, 0] += 2.4 * place
            band.append(image)
        write(tmp_path / "band.xyz", band, format="extxyz")
        with pytest.raises(DataError, match=said):
            collective_variable(PathSettings(band=tmp_path / "band.xyz"), start)
