"""Which student is released, and what leaves the project.

releasing.py    the worker that judges a new student against the released one
gate.py         the rule
difference.py   the interval of a difference between two students
scores.py       the scored items of students
scoring.py      scores of a kept student on the present held-out rows
register.py     the state, the decisions and the scores, as files
changes.py      what a person decides: approve, roll back
comparing.py    two students, task by task
specs.py        what the worker takes and returns
"""
