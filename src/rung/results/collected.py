"""``<labels>.collected.json``: what became of the outputs of other programs, label by label and run by run."""

from collections.abc import Mapping

from rung.results.base import Entry, Number, Result


class CollectedRun(Entry):
    """One output that a label stands on."""

    file: str
    """The file, as it was named or found."""
    hash: str
    """Of its content."""
    program: str
    """What wrote it."""
    method: str
    """VMC or DMC; empty where the file does not say."""
    series: int | None
    """Which part of the calculation; null where its program does not count them."""
    twist: int | None
    """Which twist of the boundary; null where there is one."""
    share: Number
    """Its part of the mean; those of a label add up to 1."""
    energy: Number
    """Mean per simulation cell, eV, corrections by columns included."""
    energy_stderr: Number
    """Its statistical error, eV."""
    rows: int
    """Blocks or steps in the file."""
    equilibration: int
    """Rows at the beginning that were left out."""
    detected: int
    """Rows after which the series itself looks settled."""
    inefficiency: Number
    """Rows that count as one."""
    independent: Number
    """Independent samples."""


class CollectedLabel(Entry):
    """One energy with its error."""

    structure_id: str
    """The structure; empty where none was asked for."""
    name: str
    """What the outputs are called together."""
    energy: Number
    """Of the cell that is labelled, eV."""
    energy_stderr: Number
    """One-sigma statistical error, eV."""
    independent: Number
    """Independent samples of the run that has fewest."""
    cells: int
    """By how many the energy of the simulation cell was divided."""
    corrections: Mapping[str, Number]
    """What was added to the energy, by name, eV; the energy holds it."""
    runs: tuple[CollectedRun, ...]
    """What it stands on."""
    warnings: tuple[str, ...]
    """What makes it doubtful."""
    minus_structure_id: str = ""
    """The structure whose energy was subtracted; empty for an energy."""
    correlation: Number = 0.0
    """Of a difference with the energy that was subtracted, block by block; 0 for an energy."""
    forces: tuple[tuple[Number, ...], ...] = ()
    """Forces of a Monte Carlo run, eV/Å, one row an atom; empty without them."""
    forces_stderr: tuple[tuple[Number, ...], ...] = ()
    """The statistical error of each component, eV/Å."""


class RefusedOutput(Entry):
    """An output, or several of one structure, that gave no label."""

    file: str
    """The file, or what several are called together."""
    sentence: str
    """Why."""


class Collected(Result):
    """Everything that was collected at one time."""

    fidelity: str
    """What the labels are called; empty where no file was written."""
    labels: tuple[CollectedLabel, ...]
    """In the order of their names."""
    refused: tuple[RefusedOutput, ...]
    """What gave no label."""
    passed_over: int
    """Files of the folders that are no outputs, or that repeat another output of the same run."""
    unlabelled: tuple[str, ...]
    """Structures for which there was no output."""
    shared_stderr: Mapping[str, Number]
    """Errors that all labels share, by name, eV; no label's own error holds them."""
    energy_shared_stderr: Number
    """All of those together, eV: for the fidelity in a config."""
    warnings: tuple[str, ...]
    """What concerns all labels."""
    out: str
    """The file of labelled structures; empty where none was written."""
    out_hashes: tuple[str, ...]
    """Of its content and of what it replaced, by which a later call knows it for its own."""
    command: str
    """What was called."""
    rung: str
    """The version of rung."""
