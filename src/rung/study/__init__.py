"""Studies: methods over numbers of labels, seeds and folds, on identical splits, each fit a folder.

``plan`` says which fits there are, ``workshop`` makes one, ``engine`` has all of them made, here or by workers, and
``table``, ``verdict`` and ``status`` say what came of it. There is no ledger: a fit is done when its result exists.
"""

from rung.study.config import StudyConfig, load_study_config
from rung.study.engine import FinishedStudy, compare, executor_of, workers_of
from rung.study.status import Failure, MethodStatus, StatusReader, StudyStatus

__all__ = [
    "Failure",
    "FinishedStudy",
    "MethodStatus",
    "StatusReader",
    "StudyConfig",
    "StudyStatus",
    "compare",
    "executor_of",
    "load_study_config",
    "workers_of",
]
