"""Reports: one self-contained ``report.html`` from the result files of a run or a study; nothing is computed again.

A section whose file is absent is absent. What the files hold is defined in :mod:`rung.results`: one definition, which
those that write them share. A damaged file is one sentence; text from files is escaped. Energies are eV, errors of
energies meV/atom, errors of forces meV/Å.

A run folder that holds ``study.csv``, or a folder ``study`` with one, shows the study as well.
"""

from rung.report.page import damage_of_page, write_beside_report, write_report, write_study_report

__all__ = ["damage_of_page", "write_beside_report", "write_report", "write_study_report"]
