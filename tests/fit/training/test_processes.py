"""A training of one process is one process, wherever it is started."""

import warnings

from rung.fit.training.processes import Processes, make_fabric


def test_a_batch_job_of_slurm_is_not_taken_for_several_processes(monkeypatch, tmp_path):
    srun = tmp_path / "srun"
    srun.write_text("#!/bin/sh\n")
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, value in {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "0"}.items():
        monkeypatch.setenv(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fabric = make_fabric(Processes(), "cpu")
    assert (fabric.world_size, fabric.global_rank) == (1, 0)
