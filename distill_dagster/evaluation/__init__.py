"""How good, how fast and how large each model is, and how certain the comparison of the three is.

benchmark.py    the worker that measures one model on the held-out rows: predictions.parquet, benchmark.json
endpoint.py     the same for a model behind an endpoint
metrics.py      scores of a set of answers, as `evaluate.Metric`
judging/        the worker that lets another model compare the answers of student and teacher
slices.py       scores of parts of the items; agreement.py and confusions.py, answer by answer
speed.py        latency and memory, in a fresh process; timing.py times single requests
statistics.py   intervals of means
comparison.py   retention, gap recovered and McNemar's test, over the same items
verdict.py      PASS, FAIL or INCONCLUSIVE
specs.py        what the worker takes and returns
"""
