"""The demo on H + H2: files by what they are for, and the barrier beside labels of Monte Carlo and coupled cluster."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ase import Atoms

from rung.config import RunConfig
from rung.data.readers.structures import read_structures, write_structures
from rung.data.splits import draw_labels
from rung.data.structure import Structure
from rung.demo import configs
from rung.demo.labelled import labelled_barriers, labelled_curves, only
from rung.demo.potentials import before_and_after
from rung.evaluate.paths.barrier import BandSettings
from rung.progress import Progress
from rung.results.barrier import Panel
from rung.tasks.barrier import BarrierTask, find_barriers

NAMES = ("learnt", "base_test", "pool", "train", "few", "test", "path", "initial", "final", "guess")
LEVELS: Mapping[str, str] = {"pbe": "PBE", "ccsdt": "UCCSD(T)", "dmc": "DMC"}


def exchange_files(data: Path, folder: Path) -> dict[str, Path]:
    """Sort the frames by what they are for, write them, and return their files by name.

    ``learnt`` and ``base_test`` carry PBE alone, and so does ``pool``, candidates for labels of DMC. ``train`` has the
    DMC energies that fits may see, ``few`` those of the main fit, both with frames of the entrance channel that anchor
    forces; ``test`` has the other DMC energies, those of the path among them. ``path`` is half of the path, from H2 + H
    to the saddle, and ``guess`` all of it, between ``initial`` and ``final``.
    """
    files = {name: folder / "data" / f"{name}.extxyz" for name in NAMES}
    if all(path.exists() for path in files.values()):
        return files
    frames = {one.structure_id: one for one in read_structures(data / "frames.extxyz")}
    far = frames["path_far"]
    path = [far, *(one for name, one in sorted(frames.items(), reverse=True) if name.startswith("path_0"))]
    rattled = [one for name, one in frames.items() if name.startswith("rand")]
    channel = [one for name, one in frames.items() if name.startswith("chan")]
    labelled = [one for one in rattled if one.labelled("dmc").has_energy]
    unseen = rattled[len(labelled) : len(labelled) + configs.H3_UNSEEN]
    seen = (*labelled, *rattled[len(labelled) + len(unseen) :])
    train = [only(one, "pbe", "dmc") for one in (far, *labelled[: -configs.H3_HELD], *channel)]
    mirrored = [replace(one, structure_id=f"{one.structure_id}_mirrored", atoms=_mirrored(one.atoms)) for one in path]
    written: dict[str, list[Structure]] = {
        "learnt": [only(one, "pbe") for one in (far, *seen, *channel)],
        "base_test": [only(one, "pbe") for one in unseen],
        "pool": [only(one, "pbe") for one in (far, *labelled)],
        "train": train,
        "few": list(draw_labels(train, "dmc", configs.H3_ENERGIES, 0)),
        "test": [only(one, "pbe", "dmc") for one in (*labelled[-configs.H3_HELD :], *path[1:])],
        "path": path,
        "initial": [only(far)],
        "final": [only(mirrored[0])],
        "guess": [only(one) for one in (*path, *mirrored[-2::-1])],
    }
    for name, structures in written.items():
        write_structures(files[name], structures)
    return files


def _mirrored(atoms: Atoms) -> Atoms:
    """Return the frame in which the third atom takes the place of the first: what reacts back."""
    mirrored = atoms.copy()
    mirrored.set_positions(-atoms.positions[::-1])
    return mirrored


def exchange_barriers(files: Mapping[str, Path], config: RunConfig, folder: Path, progress: Progress) -> list[Panel]:
    """Return the band that base and lifted potential relax to, and both along the path beside the labels' energies."""
    potentials = before_and_after(config).by_fidelity
    task = BarrierTask(
        initial=files["initial"],
        final=files["final"],
        guess=files["guess"],
        path=files["path"],
        band=BandSettings(fmax=0.05, max_steps=500),
        draws=0,
    )
    relaxed, along = find_barriers(potentials, task, folder / "barrier", progress=progress)
    path = read_structures(files["path"])
    curves, barriers = labelled_curves(path, LEVELS, along.curves[0].coordinate), labelled_barriers(path, LEVELS)
    verdicts = [f"{one.name}: {one.verdict}" for one in relaxed.barriers if one.verdict]
    return [
        Panel(
            title="Relaxed band of each level",
            curves=relaxed.curves,
            barriers=(*relaxed.barriers, *barriers),
            notice=" ".join((configs.H3_NOTICE, *verdicts)),
        ),
        Panel(
            title="From H2 + H to the saddle, along a path of bond orders",
            curves=(*along.curves, *curves),
            barriers=(*along.barriers, *barriers),
            notice=configs.H3_NOTICE,
        ),
    ]
