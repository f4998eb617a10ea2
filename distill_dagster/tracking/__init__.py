"""Trainings and scores in an experiment tracker that people already use: MLflow.

A run of MLflow stands for one student (or fitted teacher): its losses while it trains, the resolved config, and later
the report's scores and the registered model. docs/tracking.md shows what is there.

    outbox.py       what is sent, in a thread of its own, so that no training waits for a server
    mlflow_run.py   the run, and how it is found again
    numbers.py      what is sent of a result or a report
"""

from distill_dagster.tracking.mlflow_run import Subject, TrackedRun

__all__ = ["Subject", "TrackedRun"]
