"""The whole job on bundled data: check, features, fit, evaluation, barrier, learning curve, report."""

from rung.demo.job import BarrierRow, FinishedDemo, run_demo

__all__ = ["BarrierRow", "FinishedDemo", "run_demo"]
