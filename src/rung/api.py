"""The public names of rung: what semantic versioning promises. Each is imported when it is first used.

``from rung import run_fit`` and ``from rung.api import run_fit`` are the same. A name that is not listed here may move
with any version.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rung.calculator import RungCalculator
    from rung.campaign import CampaignConfig, load_campaign_config, run_campaign
    from rung.config import RunConfig, load_config
    from rung.data.readers.structures import read_structures, write_structures
    from rung.doctor import diagnose
    from rung.errors import RungError
    from rung.label.labelling import Labelling, label_files, label_structures
    from rung.label.settings import LabelSettings, load_label_settings
    from rung.report import write_report, write_study_report
    from rung.run.exporting import export_file
    from rung.run.file_settings import CheckSettings, EvaluationSettings, ExportSettings
    from rung.run.files import check_files, evaluate_files
    from rung.run.stages import run_fit
    from rung.study import StudyConfig, compare, load_study_config
    from rung.tasks.barrier import BarrierTask
    from rung.tasks.barrier import find_barriers as barrier
    from rung.tasks.free_energy import FreeEnergyTask
    from rung.tasks.free_energy import find_free_energy as free_energy
    from rung.tasks.md import MDTask
    from rung.tasks.md import find_md as md
    from rung.tasks.opened import Opened, Source, open_calculator, open_fidelities
    from rung.tasks.prediction import PredictionTask
    from rung.tasks.prediction import predict_file as predict
    from rung.tasks.relaxation import RelaxationTask
    from rung.tasks.relaxation import relax_file as relax
    from rung.tasks.selection import SelectionTask, select_labels
    from rung.tasks.transport import TransportTask
    from rung.tasks.transport import find_transport as transport
    from rung.tasks.transport_runs import find_transport_of_model as transport_of_model
    from rung.tasks.vacancies import VacancyTask
    from rung.tasks.vacancies import study_vacancies as vacancies
    from rung.tasks.vibrations import VibrationsTask
    from rung.tasks.vibrations import find_vibrations as vibrations

__all__ = [
    "BarrierTask",
    "CampaignConfig",
    "CheckSettings",
    "EvaluationSettings",
    "ExportSettings",
    "FreeEnergyTask",
    "LabelSettings",
    "Labelling",
    "MDTask",
    "Opened",
    "PredictionTask",
    "RelaxationTask",
    "RunConfig",
    "RungCalculator",
    "RungError",
    "SelectionTask",
    "Source",
    "StudyConfig",
    "TransportTask",
    "VacancyTask",
    "VibrationsTask",
    "barrier",
    "check_files",
    "compare",
    "diagnose",
    "evaluate_files",
    "export_file",
    "free_energy",
    "label_files",
    "label_structures",
    "load_campaign_config",
    "load_config",
    "load_label_settings",
    "load_study_config",
    "md",
    "open_calculator",
    "open_fidelities",
    "predict",
    "read_structures",
    "relax",
    "run_campaign",
    "run_fit",
    "select_labels",
    "transport",
    "transport_of_model",
    "vacancies",
    "vibrations",
    "write_report",
    "write_structures",
    "write_study_report",
]

HOMES = {
    "BarrierTask": "rung.tasks.barrier",
    "CampaignConfig": "rung.campaign",
    "CheckSettings": "rung.run.file_settings",
    "EvaluationSettings": "rung.run.file_settings",
    "ExportSettings": "rung.run.file_settings",
    "FreeEnergyTask": "rung.tasks.free_energy",
    "LabelSettings": "rung.label.settings",
    "Labelling": "rung.label.labelling",
    "MDTask": "rung.tasks.md",
    "Opened": "rung.tasks.opened",
    "PredictionTask": "rung.tasks.prediction",
    "RelaxationTask": "rung.tasks.relaxation",
    "RunConfig": "rung.config",
    "RungCalculator": "rung.calculator",
    "RungError": "rung.errors",
    "SelectionTask": "rung.tasks.selection",
    "Source": "rung.tasks.opened",
    "StudyConfig": "rung.study",
    "TransportTask": "rung.tasks.transport",
    "VacancyTask": "rung.tasks.vacancies",
    "VibrationsTask": "rung.tasks.vibrations",
    "barrier": "rung.tasks.barrier:find_barriers",
    "check_files": "rung.run.files",
    "compare": "rung.study",
    "diagnose": "rung.doctor",
    "evaluate_files": "rung.run.files",
    "export_file": "rung.run.exporting",
    "free_energy": "rung.tasks.free_energy:find_free_energy",
    "label_files": "rung.label.labelling",
    "label_structures": "rung.label.labelling",
    "load_campaign_config": "rung.campaign",
    "load_config": "rung.config",
    "load_label_settings": "rung.label.settings",
    "load_study_config": "rung.study",
    "md": "rung.tasks.md:find_md",
    "open_calculator": "rung.tasks.opened",
    "open_fidelities": "rung.tasks.opened",
    "predict": "rung.tasks.prediction:predict_file",
    "read_structures": "rung.data.readers.structures",
    "relax": "rung.tasks.relaxation:relax_file",
    "run_campaign": "rung.campaign",
    "run_fit": "rung.run.stages",
    "select_labels": "rung.tasks.selection",
    "transport": "rung.tasks.transport:find_transport",
    "transport_of_model": "rung.tasks.transport_runs:find_transport_of_model",
    "vacancies": "rung.tasks.vacancies:study_vacancies",
    "vibrations": "rung.tasks.vibrations:find_vibrations",
    "write_report": "rung.report",
    "write_structures": "rung.data.readers.structures",
    "write_study_report": "rung.report",
}
"""The module of each name, with the name that it has there where that differs."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for, so that ``import rung`` does not wait for torch."""
    if name not in HOMES:
        raise AttributeError(f"module 'rung.api' has no attribute {name!r}")
    module, _, attribute = HOMES[name].partition(":")
    return getattr(import_module(module), attribute or name)


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return sorted(__all__)
