"""Reports: one self-contained ``report.html`` from the result files of a run or a study; nothing is computed again.

A section whose file is absent is absent. JSON has null for what is unknown; text from files is escaped. Energies are
eV, errors of energies meV/atom, errors of forces meV/Å.

Files of a run folder
---------------------
``config.yaml``
    The resolved config; ``target`` and ``method`` name what was done.
``provenance.json``
    Any nested mapping: versions, hashes, seed, times. ``notice``, a sentence or a list of them, stands at the top of
    the report: who made the labels, and what may be done with them. ``warnings``, likewise.
``metrics.json``
    ``{"splits": {split: {fidelity: errors}}, "base": {split: {fidelity: errors}}, "fit": {...}}`` with the errors of
    :class:`rung.evaluate.errors.SplitErrors`; ``fit`` may hold ``method``, ``seconds``, ``cache_seconds``,
    ``n_parameters``, ``n_energies``, ``hyperparameters`` and ``warnings``.
``findings.json``
    What ``rung.doctor.Diagnosis.as_json`` gives: ``{"findings": [{"severity": "error" | "warning" | "note", "code",
    "sentence", "structures"}], "census": [{column: value}]}``.
``predictions/<split>.json``
    Lists of one entry a structure: ``structure_ids``, ``formulas``, ``n_atoms``, ``energy``, ``energy_stderr``,
    ``energy_label``, ``energy_stderr_label``, ``energy_base``; and ``forces``, ``forces_stderr``, ``forces_label``,
    ``forces_base``, each one ``(n, 3)`` list a structure, null where unknown, or one flat list of all components.
``barrier.json``
    One of, or a list of, ``{"title", "curves": [{"name", "energies", "coordinate", "stderr", "stderr_total"}],
    "barriers": [{"name", "value", "stderr", "stderr_total", "reaction", "notes"}], "notice"}``, as
    :meth:`rung.evaluate.paths.band.StaticBarrier.curve` and ``entry`` give them. The names ``base``, ``truth`` and
    ``energies alone`` have colours of their own, and a barrier named ``truth`` is what the others are held against.
``fit.json``
    ``FitResult.details``, alone or under ``details`` beside ``diagnostics``: ``hyperparameters`` [{"name", "value",
    "low", "high", "unit", "meaning"}]; ``evidence_profile``, either weighted points of the posterior [{name: value,
    "weight"}] or curves [{"name", "unit", "values", "log_evidence", "chosen"}]; ``alternatives`` [{"name",
    "log_evidence", "note"}]; ``energies_alone`` {quantity: value, quantity + ``_as_fitted``: value} or {split:
    {fidelity: errors}}; ``differences`` [{"first", "second", "base", "prior_mean", "prior_stderr", "energies_alone",
    "fitted"}]; ``cross_validation`` [{column: value}]; ``epochs`` [{"epoch", "train_loss", "valid_loss"}]; ``notes``
    and ``warnings`` [sentence].

Files of a study folder
-----------------------
``study.csv``
    Tidy: ``method,n_labels,seed,split,metric,value`` and optionally ``fold`` and ``stderr``. The method ``base`` is a
    level line. A metric named ``coverage_<quantity>_<percent>`` is the share of error bars of that probability that
    held the truth.
    For a band, ``split`` is its name and the metrics ``barrier``, ``barrier_stderr`` and ``barrier_stderr_total``.
``study.json``
    ``{"title", "target", "notice", "verdict": [sentence], "warnings": [sentence or {"sentence", "fits"}], "truths":
    {band: barrier in eV, metric: value}, "settings": {name: value}, "tuning": [{"method", "change", "score", "scores",
    "failed", "chosen"}], "failures": [{"fit", "sentence"}]}``.

A run folder that holds ``study.csv``, or a folder ``study`` with one, shows the study as well.
"""

from rung.report.page import write_report, write_study_report

__all__ = ["write_report", "write_study_report"]
