"""The report that compares teacher, baseline and student, and says what made them and what it cost.

writing.py     the worker: reads three benchmarks, builds the document, writes the pages
document.py    the document, typed: report.json
ratios.py      how many times smaller and faster the student is
notes.py       what a reader must know before trusting a number
examples.py    answers on which teacher and student differ
gold_student.py  whether the teacher added anything to the gold answers
funnel.py      the data's way from source rows to examples, by reason
costs.py       money and the machine's time
hyperparameters.py  how the student was trained
provenance.py  where it comes from, in sentences
classes.py     precision, recall and F1 of every label
tables.py      the tables that the pages and the UI show
numbers.py     numbers as people read them; wording.py makes sentences of them
rendering.py   the document as Markdown and HTML; plots.py draws its pictures
sparkline.py   small pictures for Dagster's metadata panel
specs.py       what the worker takes and returns
"""
