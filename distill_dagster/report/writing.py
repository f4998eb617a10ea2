"""interim"""

import json
from pathlib import Path

from distill_dagster.report.document import build_report
from distill_dagster.report.document import write_report as write
from distill_dagster.report.specs import ReportSpec
from distill_dagster.store import files, hashing, parquet
from distill_dagster.store.manifest import Produced


def write_report(spec: ReportSpec, device: str) -> Produced:
    """Write."""
    document = build_report(
        project=spec.project,
        benchmarks={
            role: json.loads((Path(m) / files.BENCHMARK_FILE).read_text()) for role, m in spec.benchmarks.items()
        },
        predictions={role: parquet.read_table(Path(m) / files.PREDICTIONS_FILE) for role, m in spec.benchmarks.items()},
        config=spec.config,
        lineage=spec.lineage,
        history=json.loads(Path(spec.history).read_text()),
        rows=parquet.read_table(Path(spec.rows)),
    )
    write(Path(spec.out), document)
    facts = {"headline": document["headline"], "verdict": document["verdict"]["verdict"]}
    return Produced(hashing.sha256(hashing.canonical_json(document)), {"items": document["items"]}, facts)
