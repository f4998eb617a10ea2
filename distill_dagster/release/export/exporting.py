"""The worker that exports the student: write it in a format, ask it every held-out row, compare with the checkpoint.

    model/               the export itself: student.gguf and Modelfile, or an onnxruntime-genai folder
    predictions.parquet  its answers, as of a benchmark; `model` is the format

The export is asked through its own runtime, template and tokenizer, with messages, as an application asks it.
"""

from importlib.metadata import version
from pathlib import Path

from distill_dagster.errors import ModelError
from distill_dagster.evaluation.items import item_groups, item_scores
from distill_dagster.models.fitness import Parts, open_parts
from distill_dagster.models.pinning import model_files
from distill_dagster.release.export.asking import Compared, ask_export
from distill_dagster.release.export.fitness import problems
from distill_dagster.release.export.formats import GGUF_FILE, MODELFILE, RUNTIMES, family, precision, require_packages
from distill_dagster.release.export.gguf_file import write_gguf
from distill_dagster.release.export.gguf_vocabulary import template_of, vocabulary_of
from distill_dagster.release.export.loss import loss_of
from distill_dagster.release.export.modelfile import modelfile
from distill_dagster.release.export.onnx_folder import build_onnx
from distill_dagster.release.export.specs import ExportCounts, ExportResult, ExportSpec
from distill_dagster.store import files, hashing, parquet, schemas
from distill_dagster.store.disk import file_sha256


def export_student(spec: ExportSpec, device: str) -> ExportResult:
    """Write the export and its predictions into `spec.out`.

    Raises:
        ModelError: the student cannot be written in this format.
        ComputeError: a package is missing, or a process that builds or asks the export failed.
    """
    require_packages(spec.form)
    model, folder = Path(spec.asked.model.path), Path(spec.out) / files.WEIGHTS_FOLDER
    parts = open_parts(model, spec.asked.model.prompt_date)
    if found := problems([spec.form], parts.config, parts):
        raise ModelError("; ".join(found))
    length = min(spec.max_length, parts.config.max_position_embeddings)
    has_modelfile = _write(spec, model, parts, folder, length)
    rows = parquet.read_table(Path(spec.asked.rows))
    compared = ask_export(spec, parts.tokenizer, folder, rows, length)
    parquet.write_table(Path(spec.out) / files.PREDICTIONS_FILE, compared.rows, schemas.PREDICTION)
    return _result(spec, folder, compared, len(rows), has_modelfile)


def _write(spec: ExportSpec, model: Path, parts: Parts, folder: Path, length: int) -> bool | None:
    """Write the export; whether it has a Modelfile, or None if its format has none."""
    folder.mkdir(parents=True)
    how = precision(spec.form)
    if family(spec.form) == "onnx":
        template = template_of(parts.tokenizer)
        build_onnx(model, template, parts.ends, folder, precision=how, max_length=length, work=Path(spec.work))
        return None
    vocabulary = vocabulary_of(parts.tokenizer, parts.config.vocab_size, parts.ends)
    write_gguf(model, parts.config, vocabulary, folder / GGUF_FILE, precision=how, name=spec.project)
    text = modelfile(GGUF_FILE, parts.tokenizer, vocabulary, length)
    if text is not None:
        (folder / MODELFILE).write_text(text, encoding="utf-8")
    return text is not None


def _result(spec: ExportSpec, folder: Path, compared: Compared, rows: int, has_modelfile: bool | None) -> ExportResult:
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    hashes = {str(path.relative_to(folder)): file_sha256(path) for path in written}
    before = parquet.read_table(Path(spec.predictions), ["row_id", "group", "score"])
    lost = loss_of(item_scores(before), item_scores(compared.rows), spec.asked.evaluation, item_groups(before))
    package = RUNTIMES[family(spec.form)]
    return ExportResult(
        data_version=hashing.sha256(hashing.canonical_json([hashes, compared.rows])),
        counts=ExportCounts(
            rows=rows,
            predictions=len(compared.rows),
            same_prompts=compared.same_prompts,
            same_answers=compared.same_answers,
            failed=sum(row["finish_reason"] == "error" for row in compared.rows),
        ),
        form=spec.form,
        runtime=f"{package} {version(package)}",
        bytes_on_disk=sum(path.stat().st_size for path in written),
        checkpoint_bytes=sum(path.stat().st_size for path in model_files(Path(spec.asked.model.path))),
        score=lost.export,
        checkpoint_score=lost.checkpoint,
        difference=lost.export - lost.checkpoint,
        interval=(lost.low, lost.high),
        items=lost.items,
        modelfile=has_modelfile,
    )
