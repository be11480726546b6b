# ruff: noqa: PLC0415 - torch takes seconds to import, so a command imports its work when it runs, and --help is quick
"""``rung init``: a commented config to begin with."""

from rung.cli.console import ERR, TerminalProgress
from rung.cli.options import command
from rung.cli.summary import print_table
from rung.report.summary import Table
from rung.run.file_settings import InitSettings


def _init(settings: InitSettings) -> int:
    """Look into files, and write a config that lifts a potential with them: fidelities, splits, base, method.

    One file is divided into train and test, whole geometries each; a list of files is taken as it is called.

    Without a base: rung init all.extxyz --target ccsdt

    By trajectory: rung init md.extxyz --target dmc --base base.model --base-fidelity pbe --group trajectory
    """
    from rung.run.beginning import begin

    begun = begin(settings, progress=TerminalProgress())
    fidelities = list(begun.census["train"])
    rows = [
        (name, " ".join(map(str, paths)), *(begun.census[name][each].words() for each in fidelities))
        for name, paths in begun.splits.items()
    ]
    print_table(Table("What the files hold", ("split", "files", *fidelities), rows, n_names=2 + len(fidelities)))
    for sentence in begun.warnings:
        ERR.print(f"warning: {sentence}", style="yellow")
    first = "" if begun.base_config is None else f"rung fit {begun.base_config}, then "
    ERR.print(
        f"Wrote {begun.config}, which lifts {begun.low} to {begun.target}. Look at it, then: {first}rung fit "
        f"{begun.config}.",
    )
    return 0


init = command(
    "init",
    _init,
    InitSettings,
    example="rung init train.extxyz test.extxyz --base base.model --base-fidelity pbe --target r2scan --out lift",
)
