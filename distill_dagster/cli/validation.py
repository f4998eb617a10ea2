"""Judging a project's source files without making anything."""

from typing import Any

from distill_dagster.config import DistillConfig
from distill_dagster.errors import DataError
from distill_dagster.sources.discovery import discover, discover_test
from distill_dagster.sources.verdicts import read_shard


def judge_sources(config: DistillConfig) -> dict[str, list[dict[str, Any]]]:
    """Every file's counts and every refused row; a file that cannot be used at all carries its `error`."""
    files: list[dict[str, Any]] = []
    rejects: list[dict[str, Any]] = []
    for source in [*discover(config.data), *discover_test(config.data)]:
        verdict = {
            "file": source.url,
            "shard": source.key,
            "split": source.split,
            "rows": 0,
            "rejected": 0,
            "error": None,
        }
        try:
            shard = read_shard(source, config.data, config.task)
        except DataError as e:
            verdict["error"] = str(e)
        else:
            verdict |= {"rows": shard.counts["rows"], "rejected": shard.counts["rejected"]}
            rejects += shard.rejects
        files.append(verdict)
    return {"files": files, "rejects": rejects}
