# ruff: noqa: PLC0415 - the engines take time to import, so a command imports its work when it runs
"""``rung label``: calculations that make labels."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from rung.cli.console import TerminalProgress, print_json
from rung.cli.options import Printing, command
from rung.cli.summary import print_summary, print_troubles
from rung.report.summary import Summary, Table
from rung.settings import Option, Settings

YAML = (".yaml", ".yml")


class LabelOptions(Settings):
    """Which labels to make."""

    files: Annotated[tuple[Path, ...], Option(positional=True)] = ()
    """One YAML file of settings, or files of structures with the options below."""
    fidelity: str | None = None
    """What the labels are called, such as dmc."""
    engine: str | None = None
    """What computes them: ase, pyscf, pyqmc, files or known."""
    settings_of: str | None = None
    """Print the settings of an engine and end: ase, pyscf, pyqmc, files or known."""
    engine_settings: Annotated[dict[str, str], Option(("set",), form="name=value")] = Field(default={})
    """Settings of the engine, such as method=mp2 basis=cc-pvtz; --settings-of lists them."""
    out: Path | None = None
    """The folder of the labels; by default labels."""
    stderr: float | None = Field(default=None, gt=0)
    """The one-sigma error to reach, eV, of structures that do not say it themselves."""
    workers: int | None = Field(default=None, ge=1, le=1024)
    """How many processes of this machine compute at once; by default this one alone."""
    time_limit: float | None = Field(default=None, gt=0)
    """Seconds that one structure may take."""
    pilot: int | None = Field(default=None, ge=1)
    """Make so many labels, the first ones that are missing, and say what the others may cost."""
    dry_run: bool = False
    """Compute nothing: say what is left to do, and what it may cost by the labels that are there."""
    retry: bool = False
    """Also compute once more what did not converge."""


def _label(options: LabelOptions, printing: Printing) -> int:
    """Compute the label of each structure that the folder does not hold yet, and write labels.extxyz there.

    A call that was stopped goes on when it is given again. Exit code 1: a structure has no label; the others have.

    A file of settings: {structures: [next.extxyz], fidelity: dmc, out: labels/dmc, stderr: 0.02, engine: {name: pyqmc},
    executor: {name: processes, workers: 8}}

    Any calculator of ASE: rung label next.extxyz --fidelity xtb --engine ase --set calculator=tblite.ase:TBLite
    trusted=true

    Coupled cluster: rung label next.extxyz --fidelity cc --engine pyscf --set "method=ccsd(t)" basis=cc-pvtz

    Monte Carlo, its price first: rung label next.extxyz --fidelity dmc --engine pyqmc --stderr 0.02 --pilot 1
    """
    from rung.label.labelling import label_files
    from rung.label.price import price_of, sentences_of
    from rung.label.summary import summary_of

    if options.settings_of is not None:
        print_summary(Summary((_settings_of(options.settings_of),)))
        return 0
    told = _told(options)
    if options.dry_run:
        price = price_of(told)
        print_json(asdict(price)) if printing.as_json else print_summary(Summary(sentences=tuple(sentences_of(price))))
        return 0
    made = label_files(told, at_most=options.pilot, retry=options.retry, progress=TerminalProgress())
    summary = summary_of(made)
    if printing.as_json:
        print_json(made.labelled.as_json())
    else:
        print_summary(summary)
        if options.pilot is not None:
            print_summary(Summary(sentences=tuple(sentences_of(price_of(told)))))
    print_troubles(summary, "")
    return int(bool(summary.failures))


def _settings_of(name: str) -> Table:
    """Return the settings of an engine, those that must be given first."""
    from rung.errors import ConfigError, one_of
    from rung.label.engines import ENGINES

    if name not in ENGINES:
        raise ConfigError(one_of(name, ENGINES, "engine"))
    fields = [(key, field) for key, field in ENGINES[name].settings.model_fields.items() if key != "name"]
    fields.sort(key=lambda item: not item[1].is_required())
    rows = [
        (
            key,
            "must be given" if field.is_required() else str(field.get_default(call_default_factory=True)),
            " ".join((field.description or "").split()),
        )
        for key, field in fields
    ]
    return Table(f"Settings of the engine {name}", ("setting", "default", "meaning"), rows, n_names=3)


def _told(options: LabelOptions) -> Any:
    """Return the settings that a file and the options, or the options alone, make."""
    from rung.errors import ConfigError
    from rung.label.settings import LabelSettings, load_label_settings

    changes = _changes(options)
    files = options.files
    if any(path.suffix in YAML for path in files):
        if len(files) > 1:
            raise ConfigError("Give one file of settings, or files of structures.")
        return load_label_settings(files[0], changes)
    missing = [f"--{name}" for name in ("fidelity", "engine") if getattr(options, name) is None]
    if not files or missing:
        lacks = f"; {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing" if files else ""
        raise ConfigError(
            "Give a YAML file of settings, or files of structures with --fidelity and --engine"
            f"{lacks}. See rung label --help."
        )
    return LabelSettings.read({"structures": list(files), **changes}, "options").resolved(Path())


def _changes(options: LabelOptions) -> dict[str, Any]:
    names = ("fidelity", "out", "stderr", "time_limit")
    changes: dict[str, Any] = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    engine = {key: _value(key, text) for key, text in options.engine_settings.items()}
    if options.engine is not None or engine:
        changes["engine"] = engine if options.engine is None else {"name": options.engine, **engine}
    if options.workers is not None:
        changes["executor"] = {"name": "processes", "workers": options.workers}
    if options.out is not None:
        changes["out"] = options.out.absolute()  # paths of a file start at its folder, those of a command do not
    return changes


def _value(key: str, text: str) -> Any:
    """Return what a word of --set means: a number, a truth value, a list or a mapping as in YAML, or else text."""
    import yaml

    from rung.errors import ConfigError
    from rung.yaml_files import parse_yaml

    try:
        return parse_yaml(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"--set {key}={text} is no value of YAML ({' '.join(str(error).split())}).") from error


label = command("label", _label, LabelOptions, Printing, example="rung label label.yaml --workers 8")
