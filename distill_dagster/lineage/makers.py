"""The makers of artefacts that need no device: what an asset calls to fill its folder.

Each takes what it reads and the folder `out`, writes files there, and returns a `Produced`.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from distill_dagster.config import ROLES, ChecksConfig
from distill_dagster.errors import DataError
from distill_dagster.lineage.stages import STAGES, Project, is_fresh
from distill_dagster.models.ref import read_ref
from distill_dagster.quality.specs import SetResult, SetSpec
from distill_dagster.quality.synthetic_set import build_set
from distill_dagster.sources.files.discovery import SourceFile, discover_test
from distill_dagster.sources.judging.raw_tables import read_rows
from distill_dagster.sources.specs import ReadResult, ReadSpec
from distill_dagster.store import files, hashing, parquet
from distill_dagster.store.manifest import Manifest, Produced


def make_raw_dataset(project: Project, shard: str, out: Path) -> ReadResult:
    """Judge every row of one source file: raw.parquet and rejects.parquet."""
    return _read_rows(project, [project.sources()[shard]], out, unique_ids=False)


def make_eval_dataset(project: Project, out: Path) -> ReadResult:
    """Judge the test files as the shards are judged, into one table. A row id in two files is an error."""
    return _read_rows(project, discover_test(project.config.data), out, unique_ids=True)


def _read_rows(project: Project, sources: list[SourceFile], out: Path, *, unique_ids: bool) -> ReadResult:
    config = project.config
    spec = ReadSpec(files=sources, data=config.data, task=config.task, unique_ids=unique_ids, out=str(out))
    return read_rows(spec, "cpu")


def shard_tables(project: Project, asset: str, file: str, columns: list[str]) -> pa.Table:
    """Those columns of all shards of an asset, in the order of their keys; a torn file is named in the error."""
    shards = sorted(project.sources())
    return pa.concat_tables(parquet.load_table(project.store.get(asset, key).file(file), columns) for key in shards)


def require_current_answers(project: Project) -> None:
    """Refuse to mix: every shard's answers must be of its present rows, the present teacher, and the same settings.

    Raises:
        DataError: some shards were answered before their rows or the teacher changed, or with other settings.
    """
    shards = sorted(project.sources())
    made_from = {key: project.store.get("teacher_outputs", key).inputs for key in shards}
    behind = [
        key
        for key, inputs in made_from.items()
        if inputs["raw_dataset"] != project.version_of("raw_dataset", key)
        or inputs["teacher_model"] != project.version_of("teacher_model")
    ]
    if behind:
        raise DataError(
            f"teacher_outputs of {len(behind)} of {len(shards)} shards ({', '.join(behind[:5])}) were made from other "
            "rows or another teacher than the present ones; materialize them again"
        )
    settings = {hashing.canonical_json(inputs["generation"]): key for key, inputs in made_from.items()}
    if len(settings) > 1:
        raise DataError(
            f"the shards were answered with {len(settings)} different generation settings, such as those of "
            f"{' and '.join(sorted(settings.values())[:2])}; materialize them again with the same"
        )


def make_synthetic_set(project: Project, out: Path) -> SetResult:
    """Filter, deduplicate, decontaminate and balance the union of all shards: examples.parquet, rejects.parquet."""
    require_current_answers(project)
    shards, store = sorted(project.sources()), project.store
    spec = SetSpec(
        raw=[str(store.get("raw_dataset", key).file(files.RAW_FILE)) for key in shards],
        teacher=[str(store.get("teacher_outputs", key).file(files.TEACHER_FILE)) for key in shards],
        test=str(store.get("eval_dataset").file(files.RAW_FILE)),
        quality=project.config.quality,
        learn=project.config.student.learn,
        out=str(out),
    )
    return build_set(spec, "cpu")


def sweep_removed(project: Project) -> list[str]:
    """Delete the artefacts of shards whose source file is gone, once no published set is made from them.

    What the teacher said of their rows stays among the responses, so a file that comes back costs no call.
    """
    published = project.store.find("validated_synthetic_set")
    wanted = {*project.sources(), *(published.inputs["raw_dataset"] if published else ())}
    return [
        f"{stage.name}[{shard}]"
        for stage in STAGES.values()
        if stage.sharded
        for shard in project.store.shards(stage.name)
        if shard not in wanted and project.store.remove(stage.name, shard)
    ]


def require_rows(synthetic_set: Manifest, checks: ChecksConfig) -> None:
    """Refuse to train on too little (E009).

    Raises:
        DataError: fewer training rows passed the filters than `checks.min_train_rows`.
    """
    have = synthetic_set.read(SetResult).counts.train
    if have < checks.min_train_rows:
        raise DataError(
            f"E009: {have} training rows passed the filters, at least {checks.min_train_rows} are wanted: "
            "look at the rejects of validated_synthetic_set, add data, or lower checks.min_train_rows"
        )


def make_report(project: Project, out: Path) -> Produced:
    """Compare the three benchmarks: report.html, report.md and report.json."""
    from distill_dagster.report.document import build_report, write_report

    store = project.store
    manifests = {role: store.get(f"{role}_benchmark") for role in ROLES}
    student = store.get("student_checkpoint")
    _require_related(project, manifests, student)
    document = build_report(
        project=project.config.name,
        benchmarks={role: json.loads(m.file(files.BENCHMARK_FILE).read_text()) for role, m in manifests.items()},
        predictions={role: parquet.read_table(m.file(files.PREDICTIONS_FILE)) for role, m in manifests.items()},
        config=project.config.evaluation,
        lineage=_made_from(project),
        history=json.loads(student.file(files.HISTORY_FILE).read_text()),
        rows=parquet.read_table(store.get("eval_dataset").file(files.RAW_FILE)),
    )
    write_report(out, document)
    facts = {"headline": document["headline"], "verdict": document["verdict"]["verdict"]}
    return Produced(hashing.sha256(hashing.canonical_json(document)), {"items": document["items"]}, facts)


def _require_related(project: Project, benchmarks: dict[str, Manifest], student: Manifest) -> None:
    """Refuse to compare what does not belong together.

    The benchmarks are those of the present models, the baseline is what the student was trained from, and the teacher
    is the one whose answers it learned.
    """
    behind = [f"{role}_benchmark" for role in ROLES if not is_fresh(project, f"{role}_benchmark")]
    if any(student.inputs[read] != project.version_of(read) for read in ("validated_synthetic_set", "student_base")):
        behind.append("student_checkpoint")
    if shards := _answered_by_another(project, benchmarks["teacher"].inputs["teacher_model"]):
        behind.append(f"teacher_outputs of {', '.join(shards[:5])}")
    if behind:
        raise DataError(f"{', '.join(behind)}: made from other inputs than the present ones; materialize again first")


def _answered_by_another(project: Project, teacher: str) -> list[str]:
    """Shards whose answers are in the set and were given by another version of the teacher."""
    learned = project.store.get("validated_synthetic_set").inputs["teacher_outputs"]
    outputs = {key: project.store.find("teacher_outputs", key) for key in sorted(learned)}
    return [
        key
        for key, manifest in outputs.items()
        if manifest and manifest.data_version == learned[key] and manifest.inputs["teacher_model"] != teacher
    ]


def read_report(project: Project) -> dict[str, Any]:
    """The last report's JSON document; NotPublishedError where there is none."""
    return json.loads(project.store.get("eval_report").file(files.REPORT_FILE).read_text(encoding="utf-8"))


def report_page(project: Project) -> Path:
    """The last report for a browser; NotPublishedError where there is none."""
    return project.store.get("eval_report").file(files.REPORT_PAGE)


def _made_from(project: Project) -> dict[str, Any]:
    """Which data and which models made the student: what a report must be able to say."""
    store = project.store
    lineage: dict[str, Any] = {"name": project.config.name, "shards": len(project.sources())}
    for asset in ("teacher_model", "validated_synthetic_set", "student_base", "student_checkpoint", "eval_dataset"):
        manifest = store.get(asset)
        lineage[asset] = {
            "data_version": manifest.data_version[:16],
            "created_at": manifest.created_at,
            **manifest.counts,
        }
        if asset in ("teacher_model", "student_base", "student_checkpoint"):
            lineage[asset]["model"] = read_ref(manifest.folder).name
    return lineage
