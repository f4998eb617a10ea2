"""Sets made from rows: the workers run over files in a folder that is gone afterwards."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_dagster.config import Learn, QualityConfig
from distill_dagster.quality.gold_set import build_gold_set
from distill_dagster.quality.specs import GoldSetResult, GoldSetSpec, SetFacts, SetResult, SetSpec
from distill_dagster.quality.synthetic_set import build_set
from distill_dagster.store import files, parquet, schemas

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class BuiltSet:
    """The tables of a set as rows, without the answers in `messages`, and what its worker said of it."""

    examples: Rows
    rejects: Rows
    result: Any

    @property
    def counts(self) -> Any:
        """The counts of the result."""
        return self.result.counts

    @property
    def facts(self) -> SetFacts:
        """The facts in the result."""
        return SetFacts(**{name: getattr(self.result, name) for name in SetFacts.model_fields})


def select_examples(raw: Rows, teacher: Rows, test: Rows, quality: QualityConfig, learn: Learn = "answer") -> BuiltSet:
    """The validated set of these rows; all answers are chosen ones."""
    with tempfile.TemporaryDirectory() as folder:
        paths = _written(Path(folder), raw, test)
        parquet.write_table(
            Path(folder) / "teacher.parquet", [{**row, "chosen": True} for row in teacher], schemas.TEACHER
        )
        spec = SetSpec(**paths, teacher=[f"{folder}/teacher.parquet"], quality=quality, learn=learn)
        return _built(Path(spec.out), build_set(spec, "cpu"))


def select_gold(raw: Rows, test: Rows, quality: QualityConfig, learn: Learn = "answer") -> BuiltSet:
    """The gold set of these rows."""
    with tempfile.TemporaryDirectory() as folder:
        spec = GoldSetSpec(**_written(Path(folder), raw, test), quality=quality, learn=learn)
        return _built(Path(spec.out), build_gold_set(spec, "cpu"))


def _written(folder: Path, raw: Rows, test: Rows) -> dict[str, Any]:
    parquet.write_table(folder / "raw.parquet", raw, schemas.RAW)
    parquet.write_table(folder / "test.parquet", test, schemas.RAW)
    (folder / "out").mkdir()
    paths = {"raw": [f"{folder}/raw.parquet"], "test": f"{folder}/test.parquet"}
    return paths | {"out": f"{folder}/out", "work": f"{folder}/work"}


def _built(out: Path, result: SetResult | GoldSetResult) -> BuiltSet:
    examples = parquet.read_table(out / files.EXAMPLES_FILE)
    without = [{**row, "messages": row["messages"][:-1]} for row in examples]
    return BuiltSet(without, parquet.read_table(out / files.REJECTS_FILE), result)
