"""A search for the best settings of the student's training. Each trial of its study is one training.

    sweep.py     asks the study for a point, has a worker train with it, keeps the best student
    study.py     the study in its file: points, validation losses, pruning
    trial.py     the worker of one trial
    table.py     trials.parquet

Dagster loads `specs` alone to show the graph. Only `study` imports Optuna, which is the extra `tuning`.
"""
