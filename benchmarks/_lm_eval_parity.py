"""Do this package and lm-eval find the same answers and scores of a checkpoint? Item by item, over nli, qa and math.

    python -m venv /tmp/lm-eval && /tmp/lm-eval/bin/pip install lm_eval[hf]==0.4.13 onnxruntime-genai==0.18.0
    python -m benchmarks._lm_eval_parity /tmp/lm-eval/bin/python [--items 400] [--steps 400] [--onnx int8]

A small model is fitted to made-up rows, just long enough that it has right and wrong answers in each task. Both then
answer the same rendered prompts greedily: this package through its benchmark, lm-eval through `generate_until` and its
own exact match (`_lm_eval_side.py`). With `--onnx`, both ask the model's export through onnxruntime-genai: this package
with messages and the export's own chat template, lm-eval with the rendered prompts. The last line is JSON with the
number of items that differ; the exit code is 1 if any does. lm-eval has an environment of its own, because it needs
libraries that this package does not need.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._signals_against_gold.rows import Rows, read, train_count
from distill_dagster.config import EvaluationConfig, ModelConfig, TrainingConfig
from distill_dagster.demo.world import write_dataset
from distill_dagster.evaluation.asking import ask_local
from distill_dagster.evaluation.benchmark import judge
from distill_dagster.evaluation.specs import BenchmarkSpec
from distill_dagster.models.fitness import open_parts
from distill_dagster.models.ref import ModelRef, read_ref
from distill_dagster.models.rendering import render_prompt
from distill_dagster.models.tokenizer import open_tokenizer
from distill_dagster.release.export.asking import reply_of
from distill_dagster.release.export.gguf_vocabulary import template_of
from distill_dagster.release.export.onnx_answers import ask_onnx
from distill_dagster.release.export.onnx_folder import build_onnx
from distill_dagster.release.export.specs import RuntimeSpec
from distill_dagster.store import parquet, schemas
from distill_dagster.tasks.prompts import Prompt, prompts_of
from distill_dagster.teachers.protocol import Reply
from distill_dagster.training.specs import PrepareSpec
from distill_dagster.workers import run_worker

SHAPE = {"hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 6}
SETTINGS = {**SHAPE, "num_key_value_heads": 6, "max_position_embeddings": 256, "tie_word_embeddings": True}
SIDE = Path(__file__).parent / "_lm_eval_side.py"
ROWS, LEAST = 1600, 300
TASKS, NEW_TOKENS, BATCH = ("nli", "qa", "math"), 24, 16


def fitted(folder: Path, rows: Rows, test: Rows, steps: int) -> ModelRef:
    """A small model after this number of steps on the gold answers."""
    raw, held_out, out = folder / "raw.parquet", folder / "test.parquet", folder / "fitted"
    parquet.write_table(raw, rows, schemas.RAW)
    parquet.write_table(held_out, test, schemas.RAW)
    (folder / "work").mkdir()
    out.mkdir()
    model = ModelConfig(architecture="llama", settings={**SETTINGS, "initializer_range": 0.1}, vocab_size=800)
    fit = TrainingConfig(
        learning_rate=3e-3,
        epochs=steps * BATCH / train_count(rows),
        batch_size=BATCH,
        evaluations=6,
        early_stopping_patience=None,
    )
    places: dict[str, Any] = {
        "rows": [str(raw)],
        "held_out": str(held_out),
        "out": str(out),
        "work": str(folder / "work"),
    }
    run_worker("prepare_model", PrepareSpec(role="teacher", model=model, fit=fit, **places))
    return read_ref(out)


def exported(ref: ModelRef, out: Path, precision: str) -> Path:
    """The folder of the model in onnxruntime-genai's format."""
    parts, work = open_parts(Path(ref.path), ref.prompt_date), out / "work"
    work.mkdir(parents=True)
    how: dict[str, Any] = {"precision": precision, "max_length": SETTINGS["max_position_embeddings"], "work": work}
    build_onnx(Path(ref.path), template_of(parts.tokenizer), parts.ends, out / "model", **how)
    return out / "model"


def ours(ref: ModelRef, asked: Sequence[tuple[dict[str, Any], Prompt]], onnx: Path | None) -> dict[str, dict[str, Any]]:
    """The text and the score of every item, by row id, as the benchmark finds them."""
    prompts = [prompt for _, prompt in asked]
    spec = BenchmarkSpec(
        role="student",
        model=ref,
        rows="",
        max_new_tokens=NEW_TOKENS,
        evaluation=EvaluationConfig(),
        responses="",
        out="",
    )
    replies = ask_exported(onnx, prompts) if onnx else ask_local(spec, "cpu", prompts, lambda _: None)
    judged = [judge(spec, row, prompt, reply) for (row, prompt), reply in zip(asked, replies, strict=True)]
    return {row["row_id"]: {"text": row["prediction"], "score": row["score"], "task": row["task"]} for row in judged}


def ask_exported(folder: Path, prompts: Sequence[Prompt]) -> list[Reply]:
    """The export's answers."""
    longest = SETTINGS["max_position_embeddings"]
    messages = [prompt.messages for prompt in prompts]
    runtime = RuntimeSpec(folder=str(folder), prompts=messages, max_new_tokens=NEW_TOKENS, max_length=longest)
    return [reply_of(answer) for answer in ask_onnx(runtime)]


def write_side(folder: Path, ref: ModelRef, asked: Sequence[tuple[dict[str, Any], Prompt]], onnx: Path | None) -> None:
    """Write what the other side reads: the model or its export, the rendered prompts and the gold answers."""
    (folder / "model").symlink_to(onnx or ref.path)
    (folder / "items").mkdir()
    tokenizer = open_tokenizer(Path(ref.path))
    for task in TASKS:
        lines = [
            {"id": row["row_id"], "prompt": render_prompt(tokenizer, prompt.messages), "gold": prompt.reference[0]}
            for row, prompt in asked
            if row["task"] == task
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / "items" / f"{task}.jsonl").write_text(text, encoding="utf-8")
    engine = "onnxruntime-genai" if onnx else "hf"
    about = {"engine": engine, "tasks": TASKS, "end": tokenizer.eos_token, "longest": NEW_TOKENS}
    (folder / "about.json").write_text(json.dumps(about))


def compared(mine: dict[str, dict[str, Any]], theirs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """How many items there are, how many differ in text or score, and the scores; each difference is printed."""
    assert mine.keys() == theirs.keys(), "both answered every item"
    texts = [i for i in mine if mine[i]["text"] != theirs[i]["text"]]
    scores = [i for i in mine if mine[i]["score"] != theirs[i]["score"]]
    for i in sorted({*texts, *scores}):
        print(i, "ours", mine[i], "lm-eval", theirs[i])
    right = Counter(item["task"] for item in mine.values() if item["score"])
    of = Counter(item["task"] for item in mine.values())
    return {
        "items": len(mine),
        "texts_differ": len(texts),
        "scores_differ": len(scores),
        "right": {task: f"{right[task]} of {of[task]}" for task in TASKS},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, ask both, and compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks._lm_eval_parity")
    parser.add_argument("python", help="the interpreter of an environment that has lm_eval[hf]==0.4.13")
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--onnx", choices=("fp32", "int8", "int4"), help="ask the model's export")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_dataset(folder / "data", tasks=TASKS, train_rows=ROWS, shards=1, test_rows=options.items)
        rows, _, test = read(folder / "data", folder, ROWS, 0, options.items)
        ref = fitted(folder, rows, test, options.steps)
        asked = [(row, prompt) for row in test for prompt in prompts_of(row)]
        onnx = exported(ref, folder / "onnx", options.onnx) if options.onnx else None
        mine = ours(ref, asked, onnx)
        write_side(folder, ref, asked, onnx)
        subprocess.run(
            [options.python, str(SIDE), str(folder)], check=True, env={"HF_HUB_OFFLINE": "1"}, stdout=sys.stderr
        )
        theirs = json.loads((folder / "theirs.json").read_text())
    found = {"lm_eval": theirs["version"], **compared(mine, theirs["items"])}
    print(json.dumps(found))
    return int(found["items"] < LEAST or bool(found["texts_differ"] or found["scores_differ"]))


if __name__ == "__main__":
    sys.exit(main())
