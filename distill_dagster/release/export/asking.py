"""Asks an export every held-out row, through its own runtime, template and tokenizer, as an application asks it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_dagster.evaluation.benchmark import asked_of, judge
from distill_dagster.models.rendering import RenderError, encode, render_prompt
from distill_dagster.progress import track
from distill_dagster.release.export.formats import family
from distill_dagster.release.export.llama_client import ask_llama
from distill_dagster.release.export.onnx_answers import ask_onnx
from distill_dagster.release.export.specs import ExportedAnswer, ExportSpec, RuntimeSpec
from distill_dagster.store import parquet
from distill_dagster.tasks.prompts import Prompt
from distill_dagster.teachers.protocol import Reply

ASK = {"gguf": ask_llama, "onnx": ask_onnx}


@dataclass(frozen=True, slots=True)
class Compared:
    """The export's predictions, and how many prompts and answers are those of the checkpoint."""

    rows: list[dict[str, Any]]
    same_prompts: int
    same_answers: int


def ask_export(spec: ExportSpec, tokenizer: Any, folder: Path, rows: Sequence[Any], length: int) -> Compared:
    """The export's answers to the held-out rows, judged as those of the checkpoint were."""
    asked = asked_of(spec.asked, rows)
    texts, prompts = _checkpoint_texts(spec), [prompt.messages for _, prompt in asked]
    runtime = RuntimeSpec(
        folder=str(folder), prompts=prompts, max_new_tokens=spec.asked.max_new_tokens, max_length=length
    )
    predictions, same_prompts, same_answers = [], 0, 0
    for (row, prompt), answer in zip(asked, _tracked(spec, runtime), strict=True):
        same_prompts += answer.prompt == _tokens(tokenizer, prompt)
        prediction = judge(spec.asked, row, prompt, reply_of(answer)) | {"model": spec.form}
        same_answers += prediction["prediction"].strip() == texts[row["row_id"], prompt.turn].strip()
        predictions.append(prediction)
    return Compared(predictions, same_prompts, same_answers)


def _checkpoint_texts(spec: ExportSpec) -> dict[tuple[str, int], str]:
    """The checkpoint's answer to each turn of each row."""
    rows = parquet.read_table(Path(spec.predictions), ["row_id", "turn", "prediction"])
    return {(row["row_id"], row["turn"]): row["prediction"] for row in rows}


def _tracked(spec: ExportSpec, runtime: RuntimeSpec) -> Iterator[ExportedAnswer]:
    with track(f"ask {spec.form}", total=len(runtime.prompts)) as advance:
        for answer in ASK[family(spec.form)](runtime):
            yield answer
            advance(1)


def _tokens(tokenizer: Any, prompt: Prompt) -> list[int] | None:
    """The tokens that the checkpoint reads; None if its template refuses the prompt."""
    try:
        return encode(tokenizer, render_prompt(tokenizer, prompt.messages))
    except RenderError:
        return None


def reply_of(answer: ExportedAnswer) -> Reply:
    """The answer as a reply of any other model."""
    return Reply(
        request_hash="",
        text=answer.text,
        finish_reason=answer.finish_reason,
        prompt_tokens=len(answer.prompt),
        completion_tokens=answer.completion_tokens,
        latency_ms=answer.latency_ms,
    )
