"""The one seam between files and verdicts: every kind of file becomes the numbered JSON text of its rows.

a.jsonl, a.jsonl.gz, a.jsonl.zst     lines.py            numbered by line
a.json                               json_list.py        numbered by element
a.parquet                            columnar.py         numbered by row
a/ (with state.json)                 columnar.py         numbered by row, over its files
"""

import re
from collections.abc import Iterator

from distill_dagster.sources.files.columnar import read_parquet, read_saved_dataset
from distill_dagster.sources.files.json_list import read_json_list
from distill_dagster.sources.files.lines import Line, read_lines

ENDING = re.compile(r"\.(jsonl(?:\.gz|\.zst)?|json|parquet)$")
ENDINGS = ".jsonl, .jsonl.gz, .jsonl.zst, .json or .parquet"
READERS = {"json": read_json_list, "parquet": read_parquet}


def read_source(url: str, max_row_bytes: int) -> Iterator[Line]:
    """Every row of a file or of a saved dataset's folder; blank lines are skipped.

    Raises:
        DataError: it is missing, cannot be read to its end, or does not have the format of its name.
    """
    ending = ENDING.search(url.rstrip("/"))
    read = read_saved_dataset if ending is None else READERS.get(ending[1], read_lines)
    return read(url, max_row_bytes)
