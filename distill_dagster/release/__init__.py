"""What leaves the project: which student is released, whether the licences allow it, and its model card.

releasing.py    the worker that judges a new student against the released one
gate.py         the rule
difference.py   the interval of a difference between two students
scores.py       the scored items of students
scoring.py      scores of a kept student on the present held-out rows
register.py     the state, the decisions and the scores, as files
changes.py      what a person decides: approve, roll back
comparing.py    two students, task by task
specs.py        what the worker takes and returns
licences.py     the terms of models (licences.yaml); used_models.py, findings.py: which of them hold for a project
export/         the student in the formats of other runtimes, and conversations with it
publish/        the released student at other places: folder, bucket, hub, MLflow
card.py         the model card, from what the artefacts report (made.py); card_tables.py, hub_metadata.py: its parts
"""
