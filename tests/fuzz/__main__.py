"""Feeds the targets for a time, guided by the lines of code that they reach (atheris).

    nice -n 19 python -m tests.fuzz --seconds 600                    all targets, in turn
    nice -n 19 python -m tests.fuzz --seconds 60 --target config     one of them

A finding ends its target: its bytes are in `--corpus`, in a file whose name begins with `crash-`, and belong into
cases.py once the code is mended. The exit status is the number of targets with findings.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tests.fuzz.targets import TARGETS

LONGEST_BYTES = 4096


def main() -> int:
    """Run each target in a process of its own, one after another."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together")
    parser.add_argument("--target", choices=sorted(TARGETS), action="append", help="default: all")
    parser.add_argument("--corpus", type=Path, default=Path(".fuzz"), help="the folder of inputs, which grows")
    options = parser.parse_args()
    chosen = options.target or list(TARGETS)
    found = []
    for name in chosen:
        command = [sys.executable, "-m", "tests.fuzz.harness", name, str(options.corpus)]
        limits = [f"-max_total_time={max(1, options.seconds // len(chosen))}", f"-max_len={LONGEST_BYTES}"]
        done = subprocess.run([*command, *limits], env=os.environ | {"PYTHONWARNINGS": "ignore"}, check=False)
        print(f"{name}: {'a finding' if done.returncode else 'no finding'}", flush=True)
        found += [name] if done.returncode else []
    return len(found)


if __name__ == "__main__":
    sys.exit(main())
