"""The command line: each command parses, calls one public function and prints."""

import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from cyclopts import App, CycloptsError, Group, Parameter

from rung import __version__
from rung.cli.console import ERR
from rung.cli.mistyped import sentence_of
from rung.cli.termination import Terminated, terminable
from rung.errors import RungError, StorageError
from rung.memory import keep_freed_memory
from rung.tasks import TASKS

INTERRUPTED = 130
"""What a shell expects of a command that Ctrl-C ended."""

TERMINATED = 143
"""The same where SIGTERM did."""


@dataclass(frozen=True)
class Entry:
    """A command of the list: what it does, and where it is defined, for it is imported when it is used."""

    sentence: str
    place: str


def _task(name: str) -> Entry:
    return Entry(TASKS[name].sentence, f"rung.cli.tasks:{name}")


GROUPS = {
    "Prepare": {
        "init": Entry("Write a commented config from what your files hold.", "rung.cli.init:init"),
        "doctor": Entry("Check files of labelled structures before any work.", "rung.cli.commands:doctor"),
        "convert": Entry("Write structures and labels of other files under rung's keys.", "rung.cli.collect:convert"),
        "collect": Entry(
            "Turn outputs of quantum Monte Carlo, coupled cluster or DFT into labels.", "rung.cli.collect:collect"
        ),
        "label": Entry(
            "Compute labels: with DFT, coupled cluster, quantum Monte Carlo or any ASE calculator.",
            "rung.cli.label:label",
        ),
        "select": _task("select"),
    },
    "Lift": {
        "fit": Entry("Fit, evaluate and export: everything that a config asks for.", "rung.cli.commands:fit"),
        "compare": Entry("Compare methods on the same data, here or on workers.", "rung.cli.compare:compare"),
        "study": Entry("Compare methods, and draw learning curves, in this process.", "rung.cli.compare:study"),
        "campaign": Entry("Label, fit and label again until a question is answered.", "rung.cli.campaign:campaign"),
        "committee": Entry(
            "Train bases that differ in their seed, to see how far they agree.", "rung.cli.commands:committee"
        ),
        "demo": Entry("Do the whole job on bundled data.", "rung.cli.commands:demo"),
    },
    "Ask a potential": {
        "evaluate": Entry("Report the errors of a model on labelled structures.", "rung.cli.commands:evaluate"),
        "predict": Entry(
            "Write structures with predicted energies, forces and error bars.", "rung.cli.predict:predict"
        ),
        **{name: _task(name) for name in TASKS if name != "select"},
    },
    "Look after": {
        "report": Entry("Write the page of a run or a study, or of runs side by side.", "rung.cli.commands:report"),
        "inspect": Entry("Say what a model file is, and what it was made from.", "rung.cli.inspect:inspect"),
        "export": Entry("Write one fidelity of a model as a file of its backend.", "rung.cli.commands:export"),
    },
}
"""The commands by what people do, in this order."""

COMMANDS = {name: entry for entries in GROUPS.values() for name, entry in entries.items()}
CACHE_COMMANDS = {
    "list": Entry("Say what a cache of designs holds.", "rung.cli.cache:listed"),
    "verify": Entry("Read every entry of a cache and check it against its hash.", "rung.cli.cache:verify"),
    "prune": Entry("Delete old and damaged entries of a cache.", "rung.cli.cache:prune"),
}


def build_app() -> App:
    """Return the command line; the modules behind it are imported when a command runs, for torch takes seconds."""
    app = App(
        name="rung",
        help="Lift an interatomic potential to a higher level of theory with a few energies.",
        help_epilogue="Begin with: rung demo",
        version=__version__,
        print_error=False,
        exit_on_error=False,
        default_parameter=Parameter(negative=()),
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    groups = {title: Group.create_ordered(title) for title in GROUPS}
    for title, entries in GROUPS.items():
        for name, entry in entries.items():
            app.command(entry.place, name=name, help=entry.sentence, group=groups[title])
    cache = App(name="cache", help="Look after a cache of designs: list, verify, prune.", group=groups["Look after"])
    for name, entry in CACHE_COMMANDS.items():
        cache.command(entry.place, name=name, help=entry.sentence)
    app.command(cache)
    app.register_install_completion_command(
        help="Let the shell complete commands and options: bash, zsh or fish. A new shell knows them.",
        group=groups["Look after"],
    )
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 for findings, 2 for an error, 130 after Ctrl-C, 143 after SIGTERM.

    A traceback is shown only where ``RUNG_DEBUG=1`` is set, or where the error is a defect of rung.
    """
    warnings.formatwarning = _plain_warning
    keep_freed_memory()
    try:
        with terminable():
            code = build_app()(None if arguments is None else list(arguments))
    except RungError as error:
        _show(error)
        return error.exit_code
    except CycloptsError as error:
        _show(error)
        return RungError.exit_code
    except PermissionError as error:  # from a question about a file, such as whether it is there
        _show(StorageError(f"{error.filename} cannot be read or written: {error.strerror}; ask its owner."))
        return RungError.exit_code
    except KeyboardInterrupt as signal:
        ERR.print("Interrupted. What was finished is kept: run the same command again to go on.")
        return TERMINATED if isinstance(signal, Terminated) else INTERRUPTED
    except BrokenPipeError:
        # the reader of a pipe left; Python would complain once more while it closes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0


def _plain_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Return a warning as people read it: where in the source it was raised says nothing to them."""
    del category, filename, lineno, line
    return f"warning: {' '.join(str(message).split())}\n"


def _show(error: Exception) -> None:
    if os.environ.get("RUNG_DEBUG") == "1":
        ERR.print_exception()
    said = sentence_of(error) if isinstance(error, CycloptsError) else str(error)
    ERR.print(f"rung: {' '.join(said.split())}")
