"""interim"""

from pathlib import Path

from distill_dagster.sources.judging.duplicates import IdsOfFiles
from distill_dagster.sources.judging.raw_tables import RawTables
from distill_dagster.sources.judging.verdicts import Reading
from distill_dagster.sources.specs import ReadSpec
from distill_dagster.store.result import Result


def read_rows(spec: ReadSpec, device: str) -> Result:
    """Judge."""
    ids = IdsOfFiles()
    with RawTables(Path(spec.out)) as tables:
        for source in spec.sources:
            tables.write(Reading(source, spec.data, spec.task), ids if len(spec.sources) > 1 else None)
    return tables.produced()
