# ruff: noqa: PLC0415 - a command imports its work when it runs
"""``rung predict``; a module of its own, for its settings wait for ASE."""

from rung.cli.console import TerminalProgress, print_json
from rung.cli.options import Printing, command
from rung.cli.summary import print_summary, print_troubles
from rung.tasks.opened import OneFidelity
from rung.tasks.prediction import PredictionTask


def _predict(potential: OneFidelity, settings: PredictionTask, printing: Printing) -> int:
    """Write structures with predicted energies, forces, stress and error bars, for whatever reads extended XYZ.

    A name of their own: rung predict model.rung test.extxyz --fidelity dmc --name dmc_predicted --out predicted.extxyz

    Any ASE calculator: PYTHONPATH=. rung predict mymodule:calculator a.xyz --fidelity xtb --trusted --out
    xtb.extxyz
    """
    from rung.report.tasks.prediction import prediction_summary
    from rung.tasks.prediction import predict_file

    result = predict_file(potential.open(), settings, progress=TerminalProgress())
    summary = prediction_summary(result)
    if printing.as_json:
        print_json(result.as_json())
    else:
        print_summary(summary)
    print_troubles(summary, "")
    return 0


predict = command(
    "predict",
    _predict,
    OneFidelity,
    PredictionTask,
    Printing,
    example="rung predict model.rung structures.xyz --fidelity dmc --out labelled.extxyz",
)
