"""How fast and how large the models are: all of them are timed in turns, in one process tree, at one time (ADR 17).

benchmark.py     the worker: starts the models, times them in rounds, writes speed.json
rounds.py        who is timed when, how many prompts a round has, and when the rounds end
contestants.py   a model in a child process as the rounds see it; over_http.py: one behind an endpoint
child.py         that process: it loads one model, answers when it is its turn, and reports its memory
engines.py       how a model answers: the interface of an engine, and the project's own
load.py          what other processes take of the machine while a model is timed
hardware.py      the machine, as an input of the stage
summary.py       the figures of each model; ratios.py compares two models round by round, or withholds the ratio
specs.py         what the worker takes and returns, and speed.json
"""
