"""How good, how fast and how large the three models are, and how sure of it one may be.

metrics.py      scores as `evaluate.Metric`
statistics.py   intervals, retention, gap recovered, McNemar, the verdict
benchmark.py    one model over the held-out rows: predictions.parquet, benchmark.json
speed.py        latency and memory, in a fresh process
memory.py       the highest resident set of a process
report.py       three benchmarks -> one document; rendering.py writes it as JSON, Markdown and HTML
wording.py      numbers and verdicts in words
plots.py        the report's SVGs; sparkline.py the small ones in Dagster's metadata
"""
