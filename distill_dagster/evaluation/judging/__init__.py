"""What another model prefers: the student's answers or the teacher's.

specs.py      what the worker takes and says
duels.py      two answers to one prompt, as two requests, and what the replies mean
canaries.py   answers of which everyone knows which is better: the judge's word counts only if it knows, too
worker.py     asks the judge, and counts
"""
