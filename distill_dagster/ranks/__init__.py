"""One training in several processes: the launcher that starts them, and what they do together.

launcher.py   starts the ranks by torchrun's elastic agent, and reports what a rank that failed left behind
group.py      how many ranks there are, which one this is, and what one of them finds for all
failure.py    the error of a rank, from the rank to the launcher
"""
