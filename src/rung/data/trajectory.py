"""Trajectories: frames of one run in the order of time, with the checks that a displacement needs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from rung.data.attributes import IMAGE_FLAGS, UNWRAPPED
from rung.data.readers import lammps, reader_of
from rung.data.readers.structures import complete_atoms, numbered_frames, structure_of
from rung.data.structure import Structure
from rung.errors import DataError, counted

_TIMES = ("step", "Step", "timestep", "time", "Time", "time_fs", "time_ps")
"""Keys of ``info`` under which programs write how far a run has come."""

_UNITS = {"time_fs": 1.0, "time_ps": 1000.0}
"""Those keys whose name says the unit, in fs."""

_EQUAL = 1e-3
"""Of a time between frames: what text files round off is smaller."""


@dataclass(frozen=True)
class FrameSeries:
    """The frames of one run.

    Parameters
    ----------
    frames
        At equal times apart; none is there twice.
    unwrapped
        Whether their positions run on beyond the cell: the file says so, or its image flags were used.
    frame_fs
        Time between two frames as the file says it, fs; None where it says none, or not in which unit.
    """

    frames: list[Atoms]
    unwrapped: bool
    frame_fs: float | None = None

    def require_time(self, path: Path | str, frame_fs: float) -> None:
        """Raise a :class:`DataError` where the file says another time between frames than ``frame_fs``, fs."""
        if self.frame_fs is not None and not same_time(self.frame_fs, frame_fs):
            raise DataError(
                f"{path} says {self.frame_fs:g} fs between two frames, and --frame-fs {frame_fs:g}; a diffusivity "
                "would be wrong by their ratio, so give the time of the file, or correct the file."
            )


def same_time(first: float, second: float) -> bool:
    """Return whether two times between frames are one, but for what text files round off."""
    return abs(first - second) <= _EQUAL * first


def read_trajectory(path: Path | str, *, types: Sequence[str] = ()) -> FrameSeries:
    """Read the frames of a run.

    Parameters
    ----------
    path
        Any format that rung or ASE reads; one run.
    types
        The element of each type of a dump of LAMMPS that has no column ``element``.

    Raises
    ------
    DataError
        When the file cannot be used, says no elements, its times are not equal or do not rise, a frame is there twice,
        or nothing moves.
    """
    path = Path(path)
    structures = list(_structures(path, types))
    _check_times(path, structures)
    _check_repeats(path, structures)
    frames = [complete_atoms(structure) for structure in structures]
    flagged = [IMAGE_FLAGS in frame.arrays for frame in frames]
    if any(flagged) and not all(flagged):
        raise DataError(
            f"{path}, frame {flagged.index(False)} has no image flags, and other frames have; write them all."
        )
    for frame in frames:
        if all(flagged):
            frame.set_positions(frame.positions + frame.arrays[IMAGE_FLAGS] @ frame.cell.array, apply_constraint=False)
            del frame.arrays[IMAGE_FLAGS]
    run_on = all(frame.info.get(UNWRAPPED) is True for frame in frames)
    return FrameSeries(frames, run_on or all(flagged), _frame_fs(structures))


def _structures(path: Path, types: Sequence[str]) -> Iterator[Structure]:
    reader = reader_of(path)
    if reader not in (lammps.READER, lammps.COMPRESSED):
        if types:
            raise DataError(f"{path} is no dump of LAMMPS, so it has no types; leave out the names of types.")
        for _, structure in numbered_frames(path, {}):
            yield structure
        return
    for number, frame in enumerate(lammps.dump_frames(path, types)):
        yield structure_of(frame, path, number, {})


def _check_times(path: Path, structures: Sequence[Structure]) -> None:
    for key in _TIMES:
        values = [structure.info.get(key) for structure in structures]
        known = [_is_number(value) for value in values]
        if not any(known) or len(structures) < 2:
            continue
        if not all(known):
            raise DataError(f"{path}, frame {known.index(False)} has no {key}, and other frames have; write them all.")
        times = np.array(values, dtype=float)
        if key == "timestep" and (times == times[0]).all():
            continue  # the length of a step, the same for all
        _check_equal(path, key, times)


def _frame_fs(structures: Sequence[Structure]) -> float | None:
    """Return the time between frames, fs, from a key whose name says its unit."""
    for key, unit in _UNITS.items():
        values = [structures[place].info.get(key) for place in (0, -1)]
        if len(structures) > 1 and all(map(_is_number, values)):
            return float(np.diff(np.array(values, dtype=float))[0]) * unit / (len(structures) - 1)
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _check_equal(path: Path, key: str, times: np.ndarray) -> None:
    apart = np.diff(times)
    if not (apart > 0).all():
        place = int(np.flatnonzero(~(apart > 0))[0])
        raise DataError(
            f"{path}: {key} goes from {times[place]:g} in frame {place} to {times[place + 1]:g} in frame {place + 1}; "
            "a run goes on in time, so leave out what is repeated, and give one run a file."
        )
    usual = float(np.median(apart))
    wrong = np.flatnonzero(np.abs(apart - usual) > _EQUAL * usual)
    if len(wrong):
        place = int(wrong[0])
        raise DataError(
            f"{path}: frames {place} and {place + 1} are {apart[place]:g} apart in {key}, and most are {usual:g}; "
            "displacements need equal times, so leave out frames or give the parts as runs of their own."
        )


def _check_repeats(path: Path, structures: Sequence[Structure]) -> None:
    first: dict[str, int] = {}
    for number, structure in enumerate(structures):
        earlier = first.setdefault(structure.geometry_hash, number)
        if earlier == number:
            continue
        if len(first) == 1 and len({one.geometry_hash for one in structures}) == 1:
            raise DataError(f"{path}: nothing moves, all {counted(len(structures), 'frame')} are one; is it a run?")
        raise DataError(
            f"{path}: frame {number} is frame {earlier} again, to the last digit; a run does not come back, so leave "
            "out what a restart or a copy repeats."
        )
