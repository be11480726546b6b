"""Checks of labelled data before any work: a census, and findings graded error, warning or note."""

from rung.doctor.diagnose import CHECKS, PLAIN_CHECKS, Check, census, diagnose, diagnose_files
from rung.results.findings import SEVERITIES, CensusRow, Diagnosis, Finding, Severity

__all__ = [
    "CHECKS",
    "PLAIN_CHECKS",
    "SEVERITIES",
    "CensusRow",
    "Check",
    "Diagnosis",
    "Finding",
    "Severity",
    "census",
    "diagnose",
    "diagnose_files",
]
