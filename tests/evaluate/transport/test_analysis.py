"""Transport: walks whose diffusivity, company and activation energy are known, and what must be refused or said."""

from types import SimpleNamespace

import numpy as np
import pytest

from rung.errors import ConfigError, DataError
from rung.evaluate.transport.analysis import Value, at_temperature, conductivity, transport
from rung.evaluate.transport.arrhenius import activations, fit_arrhenius
from rung.evaluate.transport.regime import Run, TransportSettings, measured_run
from rung.units import BOLTZMANN
from tests.evaluate.transport.walks import FRAME_FS, brownian, hops, walk

SETTINGS = TransportSettings(species="Li", frame_fs=FRAME_FS, charge=1.0)
TO_CM = 0.1


def runs_of(make, *, count=3, temperature=600.0, draw=None, **details):
    return [Run(f"run{seed}", walk(make(seed), seed=seed, **details), temperature, draw) for seed in range(count)]


def test_pairs_that_hop_together_have_half_the_haven_ratio_of_single_atoms():
    # n/2 pairs in step: Σ Δr of all atoms is twice that of the pairs, so its square over n is twice one atom's
    runs = runs_of(lambda seed: np.repeat(brownian(2e-4, frames=150, atoms=6, seed=seed), 2, axis=1))
    found = transport(runs, SETTINGS)[0]
    alone = transport(runs_of(lambda seed: brownian(2e-4, frames=150, atoms=6, seed=seed)), SETTINGS)[0]
    assert found.tracer_diffusivity.value == pytest.approx(alone.tracer_diffusivity.value, rel=1e-9)
    assert found.collective_diffusivity.value == pytest.approx(2 * alone.collective_diffusivity.value, rel=1e-9)
    assert found.haven_ratio.value == pytest.approx(0.5 * alone.haven_ratio.value, rel=1e-9)
    assert found.conductivity.value == pytest.approx(
        found.conductivity_nernst_einstein.value / found.haven_ratio.value, rel=1e-9
    )


def test_lithium_in_water_has_the_conductivity_of_the_handbook():
    # CRC Handbook of Chemistry and Physics, ionic conductivity and diffusion at infinite dilution, 298.15 K: D(Li+)
    # 1.029e-5 cm²/s and λ 38.66 S cm²/mol; one ion in a litre divided by Avogadro's number is 1 mol/L
    litre = 1e27 / 6.02214076e23
    found = conductivity(1.029e-5, charge=1, n_mobile=1, volume=litre, temperature=298.15)
    assert 1000 * found == pytest.approx(38.66, rel=1e-3)


def test_a_layer_is_measured_along_its_axes():
    steps = brownian(2e-4, frames=200, atoms=8, seed=0)
    steps[:, :, 2] = 0.0
    found = transport([Run("layer", walk(steps), 600.0)], TransportSettings(**{**SETTINGS.model_dump(), "axes": "xy"}))
    value = found[0].tracer_diffusivity
    assert value.value == pytest.approx(2e-4 * TO_CM, abs=4 * value.stderr)
    assert value.stderr < 0.1 * value.value
    with pytest.raises(ConfigError, match="axes are one or more of x, y and z"):
        transport([Run("layer", walk(steps), 600.0)], TransportSettings(species="Li", frame_fs=1.0, axes="xx"))


def test_atoms_that_rattle_do_not_diffuse_and_no_number_says_so():
    runs = runs_of(lambda seed: np.zeros((200, 8, 3)), rattle=0.3)
    found = transport(runs, SETTINGS)[0]
    assert not found.window.diffusive
    assert "Li does not diffuse within lags up to 5 ps: the slope of ln MSD against ln t is" in found.window.reason
    assert np.isnan(found.tracer_diffusivity.value)
    assert np.isnan(found.conductivity.stderr_total)


def test_atoms_that_fly_do_not_diffuse():
    steps = np.repeat(brownian(2e-4, frames=2, atoms=8, seed=0), 300, axis=0)
    found = transport([Run("flight", walk(steps), 600.0)], SETTINGS)[0]
    assert not found.window.diffusive
    assert found.window.slope == pytest.approx(2.0, abs=0.01)


def test_a_run_of_few_frames_is_too_short_to_tell():
    found = transport([Run("short", walk(brownian(2e-4, frames=6, atoms=2, seed=0)), 600.0)], SETTINGS)[0]
    assert not found.window.diffusive
    assert "too short" in found.window.reason


def test_what_a_reader_should_know_is_said():
    short = transport(runs_of(lambda seed: brownian(2e-4, frames=100, atoms=6, seed=seed), count=2), SETTINGS)[0]
    assert "2 runs at 600 K: the spread between runs is not known" in short.warnings[0]
    uncharged = TransportSettings(species="Li", frame_fs=FRAME_FS)
    three = transport(runs_of(lambda seed: brownian(2e-4, frames=100, atoms=6, seed=seed)), uncharged)[0]
    assert three.warnings == ("No charge was given, so there are no conductivities.",)
    assert np.isnan(three.conductivity_nernst_einstein.value)
    jitter = 1.5 * np.random.default_rng(0).standard_normal((100, 3))
    liquid = [frame[:6] for frame in walk(brownian(2e-4, frames=100, atoms=6, seed=1), framework=jitter)]
    alone = transport([Run("liquid", liquid, 600.0)], SETTINGS)[0]
    assert any("Every atom is mobile" in sentence for sentence in alone.warnings)
    assert np.isnan(alone.conductivity.value)
    assert alone.tracer_diffusivity.value > 0


def test_a_framework_that_melts_is_told_of():
    steps = brownian(2e-4, frames=100, atoms=6, seed=1)
    frames = walk(steps)
    for index, frame in enumerate(frames):
        frame.positions[6] += index * 0.1
    found = transport([Run("melt", frames, 600.0)], SETTINGS)[0]
    assert any("Atoms of the framework are" in sentence for sentence in found.warnings)


def test_errors_name_the_run():
    with pytest.raises(DataError, match=r"run0: There is no Na in the run"):
        transport(
            runs_of(lambda seed: np.zeros((5, 2, 3)), count=1), TransportSettings(species="Na", frame_fs=FRAME_FS)
        )


def test_runs_of_other_cells_are_no_runs_of_one_temperature():
    # the conductivity of all would be that of the first one's volume
    runs = runs_of(lambda seed: brownian(2e-4, frames=60, atoms=6, seed=seed))
    for frame in runs[2].frames:
        frame.set_cell(1.3 * frame.cell.array)
    with pytest.raises(DataError, match=r"The runs at 600 K have cells of 4096.0 to 8998.9 Å³; give runs of one cell"):
        transport(runs, SETTINGS)
    hotter = [Run(run.name, run.frames, 700.0) for run in runs[2:]]
    assert len(transport([*runs[:2], *hotter], SETTINGS)) == 2, "a cell grows with the temperature"
    for frame in runs[2].frames:
        frame.pbc = (True, True, False)
    with pytest.raises(DataError, match="Some of the runs at 600 K have a cell"):
        transport(runs, SETTINGS)


def test_draws_give_the_model_its_error():
    speeds = (1e-4, 2e-4, 4e-4)
    runs = [
        Run(f"{draw}-{seed}", walk(brownian(speed, frames=300, atoms=8, seed=10 * draw + seed)), 600.0, draw)
        for draw, speed in enumerate(speeds)
        for seed in range(3)
    ]
    found = transport(runs, SETTINGS)[0]
    value = found.tracer_diffusivity
    between = np.std(np.array(speeds) * TO_CM, ddof=1)
    assert (found.n_runs, found.n_draws) == (9, 3)
    assert value.stderr_total == pytest.approx(between, rel=0.1)
    assert value.stderr_model == pytest.approx(between, rel=0.1)
    assert value.stderr < 0.05 * value.value
    each = [found.by_draw[draw]["tracer_diffusivity"].value for draw in range(3)]
    assert value.value == pytest.approx(np.mean(each))
    assert value.stderr_total == pytest.approx(np.std(each, ddof=1))
    with pytest.raises(DataError, match="or only some are of a draw"):
        transport([*runs, Run("plain", runs[0].frames, 600.0)], SETTINGS)


def test_a_line_through_exact_rates_gives_them_back():
    kelvin = np.array([500.0, 700.0, 1000.0])
    rates = 3e-3 * np.exp(-0.25 / (BOLTZMANN * kelvin))
    fit = fit_arrhenius(kelvin, rates, 0.1 * rates)
    assert fit.activation_energy == pytest.approx(0.25)
    assert np.exp(fit.log_prefactor) == pytest.approx(3e-3)
    value, stderr = fit.at(300.0)
    assert value == pytest.approx(3e-3 * np.exp(-0.25 / (BOLTZMANN * 300)))
    design = np.column_stack([np.ones(3), -1 / (BOLTZMANN * kelvin)])
    expected = np.linalg.inv(design.T @ design) * 0.1**2
    assert fit.activation_energy_stderr == pytest.approx(np.sqrt(expected[1, 1]))
    at = np.array([1, -1 / (BOLTZMANN * 300)])
    assert stderr == pytest.approx(value * np.sqrt(at @ expected @ at))


@pytest.mark.parametrize(("kelvin", "rates"), [([500, 500], [1, 2]), ([500, 600], [1, -1])])
def test_what_has_no_activation_energy_is_refused(kelvin, rates):
    with pytest.raises(DataError, match="An activation energy needs"):
        fit_arrhenius(kelvin, rates, [0.1, 0.1])


def test_temperatures_give_the_activation_energy_of_hops():
    # a share of hops 0.6 exp(-0.15 eV/kT): D follows with the same energy
    runs = [
        Run(
            f"{kelvin}-{seed}",
            walk(hops(0.6 * np.exp(-0.15 / (BOLTZMANN * kelvin)), 2.0, frames=300, atoms=8, seed=seed + int(kelvin))),
            kelvin,
        )
        for kelvin in (600.0, 900.0, 1200.0)
        for seed in range(3)
    ]
    results = transport(runs, SETTINGS)
    assert [one.temperature for one in results] == [600.0, 900.0, 1200.0]
    found = activations(results, (300.0,))
    energy = found["tracer_diffusivity"].activation_energy
    assert energy.value == pytest.approx(0.15, abs=3 * energy.stderr)
    assert energy.stderr < 0.02
    assert found["conductivity"].activation_energy.value == pytest.approx(0.15, abs=0.08)
    assert set(found["tracer_diffusivity"].extrapolated) == {300.0}
    assert activations(results[:1]) == {}


def test_an_extrapolated_value_counts_the_scatter_of_draws_of_the_potential():
    """Draws that differ in their activation energy part the more, the farther from the temperatures of the runs."""
    kelvin, energies = (600.0, 700.0, 800.0), (0.25, 0.28, 0.30, 0.32, 0.35)

    def value(energy, at):
        rate = np.exp(-energy / (BOLTZMANN * at) + energy / (BOLTZMANN * 700.0))
        return Value(rate, 0.01 * rate, stderr_total=0.01 * rate)

    none = Value(0.0, 0.0, stderr_total=0.0)
    results = [
        SimpleNamespace(
            temperature=at,
            tracer_diffusivity=value(0.30, at),
            conductivity=none,
            by_draw={n: {"tracer_diffusivity": value(energy, at)} for n, energy in enumerate(energies)},
        )
        for at in kelvin
    ]
    found = activations(results, (300.0, 700.0))["tracer_diffusivity"]
    assert found.activation_energy.stderr_total == pytest.approx(np.std(energies, ddof=1), rel=1e-6)
    slope = 1 / (BOLTZMANN * 300.0) - 1 / (BOLTZMANN * 700.0)
    for at, spread in ((300.0, slope * np.std(energies, ddof=1)), (700.0, 0.0)):
        rate, error = found.extrapolated[at]
        sampling = found.fit.at(at)[1] / rate
        assert error / rate == pytest.approx(max(spread, sampling), rel=1e-6)


def vacancy_walk(seed, *, frames=600, hops_a_frame=40, size=4):
    """One vacancy on a face-centred cubic lattice of 4 size³ sites: Li elsewhere, the framework a corner that stays."""
    random = np.random.default_rng(seed)
    cell = 2 * size  # half lattice constants
    sites = [s for s in np.ndindex(cell, cell, cell) if sum(s) % 2 == 0]
    occupant = {site: atom for atom, site in enumerate(sites[1:])}
    vacancy = np.array(sites[0])
    neighbours = np.array(
        [s for s in np.ndindex(3, 3, 3) if sorted(abs(x - 1) for x in s) == [0, 1, 1]], dtype=int
    ) - np.array([1, 1, 1])
    path = np.zeros((frames, len(sites) - 1, 3))
    where = np.array(sites[1:], dtype=float)
    for frame in range(frames):
        path[frame] = where
        for choice in random.integers(0, 12, size=hops_a_frame):
            target = tuple((vacancy + neighbours[choice]) % cell)
            atom = occupant.pop(target)
            occupant[tuple(vacancy)] = atom
            where[atom] -= neighbours[choice]
            vacancy = np.array(target)
    return path


@pytest.mark.slow
def test_a_vacancy_on_a_cubic_lattice_has_the_haven_ratio_of_compaan_and_haven():
    # Trans. Faraday Soc. 52, 786 (1956): the correlation factor of tracer diffusion by single vacancies is 0.7815 on
    # the face-centred cubic lattice, and the Haven ratio is that factor, for the vacancy itself walks at random
    runs = []
    for seed in range(12):
        path = vacancy_walk(seed)
        frames = walk(np.diff(path, axis=0), seed=seed)
        runs.append(Run(str(seed), frames, 600.0))
    found = transport(runs, TransportSettings(species="Li", frame_fs=FRAME_FS))[0]
    assert found.haven_ratio.stderr < 0.05
    assert found.haven_ratio.value == pytest.approx(0.7815, abs=2.5 * found.haven_ratio.stderr)
    # the vacancy hops 40 times a frame by √2, and the sum over 255 atoms moves as it does
    random_walk = 40 * 2 / (6 * FRAME_FS) / 255 * TO_CM
    collective = found.collective_diffusivity
    assert collective.value == pytest.approx(random_walk, abs=2.5 * collective.stderr)


WALKS = 100
LOW, HIGH = 58, 78
"""Of 100 walks, 68 are expected within one error; the standard deviation of that count is 4.7, so 58 to 78 is 2.1 of it
either way. Three runs together are widened where they scatter and never narrowed: of them up to 85 may be within."""


def covered(make, *, runs=1, settings=SETTINGS, truth=2e-4, **details):
    """Return how many of the walks have the true tracer and collective diffusivity within one error, in 100."""
    inside = []
    for index in range(WALKS):
        seeds = range(index * runs, index * runs + runs)
        measured = [
            measured_run(Run(str(seed), walk(make(seed), seed=seed, **details), 600.0), settings) for seed in seeds
        ]
        found = at_temperature(measured, settings)
        if found.window.diffusive:
            pairs = (found.tracer_diffusivity, found.collective_diffusivity)
            inside.append([abs(one.value - truth * TO_CM) <= one.stderr for one in pairs])
    assert len(inside) >= 0.9 * WALKS
    return 100 * np.mean(inside, axis=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "details"),
    [
        (lambda seed: brownian(2e-4, frames=300, atoms=6, seed=seed), {}),
        (lambda seed: brownian(2e-4, frames=500, atoms=8, seed=seed), {"rattle": 0.15}),
        # 1.5 % of the frames see a hop of 2 Å: D = 0.015 · 4 / (6 · 50) = 2e-4
        (lambda seed: hops(0.015, 2.0, frames=400, atoms=10, seed=seed), {"rattle": 0.1}),
    ],
    ids=["brownian", "rattling", "hopping"],
)
def test_one_error_covers_the_truth_in_two_walks_of_three(make, details):
    tracer, collective = covered(make, **details)
    assert LOW <= tracer <= HIGH
    assert LOW <= collective <= HIGH


@pytest.mark.slow
def test_the_error_of_three_runs_covers_the_truth_too():
    tracer, collective = covered(lambda seed: brownian(2e-4, frames=200, atoms=4, seed=seed), runs=3)
    assert LOW <= tracer <= 85
    assert LOW <= collective <= 85


@pytest.mark.slow
def test_kinisi_agrees_on_the_same_displacements():
    import scipp
    from kinisi.diffusion import Diffusion

    for seed in (0, 1, 2):
        frames, atoms = 400, 16
        run = measured_run(Run("walk", walk(brownian(2e-4, frames=frames, atoms=atoms, seed=seed)), 600.0), SETTINGS)
        found = transport([Run("walk", walk(brownian(2e-4, frames=frames, atoms=atoms, seed=seed)), 600.0)], SETTINGS)[
            0
        ]
        moments = run.tracer.between(4, 200)
        independent = atoms * frames / moments.lags
        msd = scipp.DataArray(
            scipp.Variable(
                dims=["time interval"],
                values=moments.mean,
                variances=moments.variance / independent,
                unit="angstrom**2",
            ),
            coords={
                "time interval": scipp.array(dims=["time interval"], values=FRAME_FS * moments.lags, unit="fs"),
                "n_samples": scipp.array(dims=["time interval"], values=independent),
            },
        )
        theirs = Diffusion(scipp.DataGroup({"da": msd, "dimensionality": scipp.scalar(3)}))
        theirs._diffusion(4 * FRAME_FS * scipp.Unit("fs"), progress=False, random_state=np.random.RandomState(seed))
        ours = found.tracer_diffusivity
        assert ours.value == pytest.approx(float(np.mean(theirs.D.values)), abs=float(np.std(theirs.D.values)))
