"""Run the benches and print a table, and as the last line the same numbers as one flat JSON document.

A bench is a module of this folder with `measure() -> dict[str, float]`; `gpu/` is run by itself. Two things that are
compared are measured in one run, alternating, and reported as medians and a ratio.
"""

import importlib
import json
import pkgutil
import sys

import benchmarks


def main(only: list[str]) -> int:
    """Run the named benches, or all of them."""
    modules = [module for module in pkgutil.iter_modules(benchmarks.__path__) if not module.ispkg]
    names = [module.name for module in modules if not module.name.startswith("_")]
    if unknown := sorted(set(only) - set(names)):
        print(f"no such bench: {', '.join(unknown)}; there are {', '.join(names)}", file=sys.stderr)
        return 2
    results: dict[str, float] = {}
    for name in only or names:
        measured = importlib.import_module(f"benchmarks.{name}").measure()
        results |= measured
        for key, value in measured.items():
            print(f"{name:<12} {key:<40} {value:>12,.3f}", flush=True)
    print(json.dumps({key: round(value, 4) for key, value in results.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
