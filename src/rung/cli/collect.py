# ruff: noqa: PLC0415 - numpy and ASE take time to import, so a command imports its work when it runs
"""``rung collect`` and ``rung convert``: outputs and files of other programs to labels."""

from rung.cli.console import ERR, TerminalProgress, print_json
from rung.cli.options import Printing, command
from rung.cli.summary import print_summary, print_troubles
from rung.collect.convert_settings import ConvertSettings
from rung.collect.settings import CollectSettings
from rung.errors import counted


def _collect(settings: CollectSettings, printing: Printing) -> int:
    """Read outputs, average those of quantum Monte Carlo with their errors, and print the energies in eV.

    With --out they are written onto structures. Exit code 1: an output gave no energy; the others did.

    A folder for each structure: rung collect runs/ --structures base.extxyz --fidelity dmc --out labels.extxyz

    Several files: rung collect run/dmc.s001.scalar.dat --equilibration 20 --json

    A table: rung collect e.csv --columns structure_id=name energy=E stderr=err --unit hartree

    Energies and differences as a table, for data.labels of a config: rung collect runs/ --table table.csv
    --fidelity dmc --out labels.csv

    Twists, and a cell that holds the structure four times: rung collect run/ --series 2 --cells 4 --mpc
    """
    from rung.collect.collecting import collect
    from rung.collect.summary import summary_of

    collected = collect(settings, progress=TerminalProgress())
    summary = summary_of(collected)
    if printing.as_json:
        print_json(collected.as_json())
    else:
        print_summary(summary)
    print_troubles(summary, "")
    return int(bool(summary.failures))


def _convert(settings: ConvertSettings) -> int:
    """Write extended XYZ with rung's keys; energies come out in eV, forces in eV/Å.

    Arrays: rung convert md17.npz --keys numbers=z positions=R energy=E forces=F --energy-unit kcal/mol
    --length-unit angstrom --fidelity pbe --out pbe.extxyz

    Other keys: rung convert a.extxyz --keys energy=E gradient=G --energy-unit hartree --length-unit bohr
    --fidelity cc --out cc.extxyz
    """
    from rung.collect.converting import convert

    done = convert(settings, progress=TerminalProgress())
    ERR.print(
        f"Wrote {done.out}: {counted(done.structures, 'structure')}, {counted(done.energies, 'energy', 'energies')}, "
        f"{done.forces} with forces, {done.stresses} with stress. Check it with rung doctor {done.out}.",
    )
    if done.left_out:
        are = "is" if len(done.left_out) == 1 else "are"
        ERR.print(
            f"warning: {', '.join(done.left_out)} {are} left out: --keys names others of that name and not these, "
            "and nobody said their units.",
            style="yellow",
        )
    return 0


convert = command(
    "convert", _convert, ConvertSettings, example="rung convert OUTCAR vasprun.xml --fidelity pbe --out pbe.extxyz"
)
collect = command("collect", _collect, CollectSettings, Printing, example="rung collect dmc.s001.scalar.dat")
