"""The makers of artefacts that need no device: what an asset calls to fill its folder.

Each takes what it reads and the folder `out`, writes files there, and returns a `Produced`.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa

from distill_dagster.config import ROLES, ChecksConfig
from distill_dagster.errors import DataError
from distill_dagster.lineage.stages import STAGES, Project, is_fresh
from distill_dagster.models.ref import read_ref
from distill_dagster.quality.examples.rows import RAW, TEACHER
from distill_dagster.quality.synthetic_set import build_set
from distill_dagster.report.document import ReportDocument, read_document
from distill_dagster.report.specs import Provenance, ReportResult, ReportSpec
from distill_dagster.sources.files.discovery import discover_test
from distill_dagster.sources.judging.duplicates import IdsOfFiles
from distill_dagster.sources.judging.raw_tables import RawTables
from distill_dagster.sources.judging.verdicts import Reading
from distill_dagster.store import files, hashing, parquet
from distill_dagster.store.manifest import Manifest, Produced


def make_raw_dataset(project: Project, shard: str, out: Path) -> Produced:
    """Judge every row of one source file: raw.parquet and rejects.parquet."""
    config = project.config
    with RawTables(out) as tables:
        tables.write(Reading(project.sources()[shard], config.data, config.task))
    return tables.produced()


def make_eval_dataset(project: Project, out: Path) -> Produced:
    """Judge the test files as the shards are judged, into one table. A row id in two files is an error."""
    config, ids = project.config, IdsOfFiles()
    with RawTables(out) as tables:
        for source in discover_test(config.data):
            tables.write(Reading(source, config.data, config.task), ids)
    return tables.produced()


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


def make_synthetic_set(project: Project, out: Path) -> Produced:
    """Filter, deduplicate, decontaminate and balance the union of all shards: examples.parquet, rejects.parquet."""
    require_current_answers(project)
    answers = shard_tables(project, "teacher_outputs", files.TEACHER_FILE, [*TEACHER.names, "chosen"])
    built = build_set(
        raw=shard_tables(project, "raw_dataset", files.RAW_FILE, RAW.names),
        teacher=answers.filter(answers.column("chosen")),
        test=parquet.read_table(project.store.get("eval_dataset").file(files.RAW_FILE)),
        quality=project.config.quality,
        learn=project.config.student.learn,
    )
    parquet.save_table(out / files.EXAMPLES_FILE, built.table)
    parquet.save_table(out / files.REJECTS_FILE, built.rejected)
    facts = {**built.facts, "shards": len(project.sources())}
    return Produced(hashing.rows_hash(parquet.rows_of(built.table)), built.counts, facts)


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
    have = synthetic_set.counts.get("train", 0)
    if have < checks.min_train_rows:
        raise DataError(
            f"E009: {have} training rows passed the filters, at least {checks.min_train_rows} are wanted: "
            "look at the rejects of validated_synthetic_set, add data, or lower checks.min_train_rows"
        )


def make_report(project: Project, out: Path) -> ReportResult:
    """Compare the three benchmarks: report.html, report.md and report.json."""
    from distill_dagster.report.report import write_report

    store = project.store
    manifests = {role: store.get(f"{role}_benchmark") for role in ROLES}
    student = store.get("student_checkpoint")
    _require_related(project, manifests, student)
    spec = ReportSpec(
        project=project.config.name,
        benchmarks={role: str(manifests[role].folder) for role in ROLES},
        history=str(student.file(files.HISTORY_FILE)),
        rows=str(store.get("eval_dataset").file(files.RAW_FILE)),
        evaluation=project.config.evaluation,
        provenance=_made_from(project),
        out=str(out),
    )
    return write_report(spec)


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


def read_report(project: Project) -> ReportDocument:
    """The last report's document; NotPublishedError where there is none."""
    return read_document(project.store.get("eval_report").file(files.REPORT_FILE))


def report_page(project: Project) -> Path:
    """The last report for a browser; NotPublishedError where there is none."""
    return project.store.get("eval_report").file(files.REPORT_PAGE)


def _made_from(project: Project) -> Provenance:
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
    return Provenance.model_validate(lineage)
