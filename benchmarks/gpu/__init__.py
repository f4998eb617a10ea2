"""The library's workers on one GPU: speed, memory, and whether they run there at all.

    benchmarks/gpu/wheels.sh         on a machine with a package index: collect the wheels that the card's machine lacks
    benchmarks/gpu/run.sh            on the card's machine, which needs no network
    python -m benchmarks.gpu --small the same parts on tiny models, in half a minute on a CPU

`__main__.py` starts a child process (`child.py`) that runs the parts (`parts.py`) in order on the models of `sizes.py`
and the rows of `rows.py`. A part that fails ends its child; a new child runs the parts that are left.
"""
