"""One target under atheris: `python -m tests.fuzz.harness config .fuzz -max_total_time=60`, see __main__.py.

Bytes alone seldom stay JSON, so half of the changes to a JSON text replace, add or remove one of its values.
"""

import json
import random
import sys
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["distill_dagster"]):
    from tests.fuzz.targets import feed

from tests.fuzz.seeds import seeds

ODD: list[Any] = [None, True, -1, 0, 1e308, 2**63, "", "a", "../../etc", "\x00", "\ud800", [], {}, [[]], {"a": {}}]


def changed(value: Any, rng: random.Random) -> Any:
    """The value, with one of its parts replaced, added or removed."""
    if isinstance(value, dict | list) and value and rng.random() < 0.85:
        places = list(value) if isinstance(value, dict) else list(range(len(value)))
        place, what = rng.choice(places), rng.random()
        copy: Any = dict(value) if isinstance(value, dict) else list(value)
        if what < 0.1:
            del copy[place]
        elif what < 0.2 and isinstance(copy, dict):
            copy[f"{place}{rng.choice('_x0')}"] = rng.choice(ODD)
        elif what < 0.2:
            copy.append(rng.choice([copy[place], *ODD]))
        else:
            copy[place] = changed(copy[place], rng)
        return copy
    return rng.choice(ODD)


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Other bytes than these; the lines of a text of JSON lines are changed one at a time."""
    rng = random.Random(seed)
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    try:
        if rng.random() < 0.5:
            value = changed(json.loads(lines[at]), rng)
            lines[at] = json.dumps(value, allow_nan=False).encode()
            made = b"\n".join(lines)
            return made if len(made) <= most else data
    except (ValueError, RecursionError):  # no JSON
        pass
    return atheris.Mutate(data, most)


def main(name: str, corpus: Path, *limits: str) -> None:
    """Feed the target from its seeds and its corpus, until the limit or a finding."""
    own = corpus / name
    own.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()[name]):
        (own / f"seed-{number}").write_bytes(seed)

    def take(data: bytes) -> None:
        feed(name, data)

    atheris.Setup([sys.argv[0], f"-artifact_prefix={own}/", *limits, str(own)], take, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
