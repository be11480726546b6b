"""The result files of a folder as its report reads them: every one is optional, any damage is named."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rung.results.barrier import BARRIER_FILE, Panel, read_panels
from rung.results.config import CONFIG_FILE, ConfigNames
from rung.results.findings import FINDINGS_FILE, Diagnosis
from rung.results.fit import FIT_FILE, FitRecord
from rung.results.geometries import GEOMETRIES, Geometries
from rung.results.metrics import METRICS_FILE, Metrics, SplitErrors, by_split
from rung.results.predictions import PREDICTIONS, Predictions
from rung.results.provenance import PROVENANCE_FILE, Provenance
from rung.results.study import STUDY_FILE, TABLE_FILE, StudyRow, StudySummary, read_rows


@dataclass(frozen=True)
class StudyFiles:
    """What a study folder holds."""

    rows: tuple[StudyRow, ...] = ()
    summary: StudySummary = field(default_factory=lambda: StudySummary(title=""))
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunFiles:
    """What a run folder holds; None or empty where a file is absent."""

    config_text: str = ""
    config: ConfigNames | None = None
    provenance: Provenance | None = None
    metrics: Metrics | None = None
    findings: Diagnosis | None = None
    fit: FitRecord | None = None
    panels: tuple[Panel, ...] = ()
    predictions: Mapping[str, Predictions] = field(default_factory=dict)
    study: StudyFiles = field(default_factory=StudyFiles)
    geometries: Mapping[str, Geometries] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """The fidelity that the run lifts to; empty where no file says."""
        return "" if self.config is None else self.config.target

    @property
    def base(self) -> str:
        """The base's fidelity; empty without a base, or where no file says."""
        return "" if self.config is None or self.config.base is None else self.config.base.fidelity

    @property
    def method(self) -> str:
        """The name of the method; empty where no file says."""
        if self.config is not None:
            return self.config.method.name
        return "" if self.metrics is None else self.metrics.fit.method

    @property
    def by_split(self) -> dict[str, Predictions]:
        """Predictions by split, in the order of the splits in ``metrics.json``, others after them."""
        order = [split for split, _ in self.errors]
        names = sorted(self.predictions, key=lambda split: order.index(split) if split in order else len(order))
        return {split: self.predictions[split] for split in names}

    @property
    def molecules(self) -> bool:
        """Whether every structure whose atoms are known is without a cell; no where none is known."""
        cells = [cell for one in self.geometries.values() for cell in one.cells]
        return bool(cells) and all(cell is None for cell in cells)

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences for the top of the page."""
        own = () if self.provenance is None else self.provenance.notice
        return tuple(dict.fromkeys((*own, *self.study.summary.notice)))

    @property
    def errors(self) -> dict[tuple[str, str], SplitErrors]:
        """Errors of the lifted potential by (split, fidelity)."""
        return {} if self.metrics is None else by_split(self.metrics.splits)

    @property
    def base_errors(self) -> dict[tuple[str, str], SplitErrors]:
        """Errors of the base by (split, fidelity)."""
        return {} if self.metrics is None else by_split(self.metrics.base)


def read_run(folder: Path) -> RunFiles:
    """Read the result files of a run folder.

    Raises
    ------
    StorageError
        When a file is there and does not hold what it should: one sentence with the path and the key.
    """
    config, barrier = folder / CONFIG_FILE, folder / BARRIER_FILE
    return RunFiles(
        config=ConfigNames.read_optional(config),
        config_text=config.read_text(encoding="utf-8") if config.exists() else "",
        provenance=Provenance.read_optional(folder / PROVENANCE_FILE),
        metrics=Metrics.read_optional(folder / METRICS_FILE),
        findings=Diagnosis.read_optional(folder / FINDINGS_FILE),
        fit=FitRecord.read_optional(folder / FIT_FILE),
        panels=read_panels(barrier) if barrier.exists() else (),
        predictions={path.stem: Predictions.read(path) for path in sorted((folder / PREDICTIONS).glob("*.json"))},
        geometries={path.stem: Geometries.read(path) for path in sorted((folder / GEOMETRIES).glob("*.json"))},
        study=read_study(folder if (folder / TABLE_FILE).exists() else folder / "study"),
    )


def read_study(folder: Path) -> StudyFiles:
    """Read the result files of a study folder.

    Raises
    ------
    StorageError
        When a file is there and does not hold what it should: one sentence with the path and the key.
    """
    table = folder / TABLE_FILE
    return StudyFiles(
        rows=read_rows(table) if table.exists() else (),
        summary=StudySummary.read_optional(folder / STUDY_FILE) or StudySummary(title=""),
        runs=tuple(sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/report.html"))),
    )


def sentences(*values: str) -> list[str]:
    """Return the sentences among ``values``, without blank ones and repeats."""
    return list(dict.fromkeys(value.strip() for value in values if value.strip()))
