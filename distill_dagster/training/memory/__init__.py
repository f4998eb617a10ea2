"""How much memory a training step takes, from config and shapes alone, and what would make it take less.

step.py       one forward and backward pass on tensors without data, whose sizes are counted as they come and go
tracking.py   the count
state.py      what exists all the time: weights and the optimizer's state
estimate.py   both together as a plan, with the settings that would make it smaller
"""
