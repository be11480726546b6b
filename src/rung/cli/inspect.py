# ruff: noqa: PLC0415 - a command imports its work when it runs
"""``rung inspect``."""

from rung.cli.console import print_json
from rung.cli.options import Printing, command
from rung.cli.summary import print_summary, print_troubles
from rung.run.file_settings import InspectSettings


def _inspect(settings: InspectSettings, printing: Printing) -> int:
    """Say what a file is: backend, heads, elements, cutoff, weights; and what a fit of rung made it from.

    Nothing in the file runs unless it is trusted. Exit code 1: rung cannot use the model.
    """
    from rung.report.inspection import inspection_summary
    from rung.run.inspecting import inspect_file

    found = inspect_file(settings)
    summary = inspection_summary(found)
    if printing.as_json:
        print_json(found.as_json())
    else:
        print_summary(summary)
    print_troubles(summary, "")
    return int(any(one.trouble for one in found.models))


inspect = command("inspect", _inspect, InspectSettings, Printing, example="rung inspect runs/mos2/r2scan.model")
