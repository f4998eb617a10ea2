"""What only a GPU shows of the workers: their peak memory, float32 answers of both engines, training in bfloat16.

`benchmarks/gpu/run.sh` runs this folder on a machine that has neither Dagster nor all plugins of pytest. No test here
uses a fixture of tests/conftest.py.
"""

import functools
import math

import pytest
import torch

from distill_dagster.config import ModelConfig, StudentTrainingConfig
from distill_dagster.models.decoding import complete
from distill_dagster.models.engines.replay import Replay
from distill_dagster.models.loading import load
from distill_dagster.training.record import StepLoss
from distill_dagster.training.specs import TrainSpec, TrySpec
from distill_dagster.workers import run_worker
from testing.models_tiny import LLAMA, rows, write_examples, write_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this torch finds no CUDA device"),
]

DEVICE = "cuda:0"
BALLAST = 1 << 30  # bytes, far more than a tiny model takes
ENDS = list(range(1, 24))  # of some 300 tokens: answers end after any number of them
WIDE = {**LLAMA, "max_position_embeddings": 128, "initializer_range": 0.2}


def test_a_worker_reports_its_own_peak_and_not_that_of_the_work_before_it(tmp_path):
    torch.empty(BALLAST, dtype=torch.uint8, device=DEVICE)
    assert torch.cuda.max_memory_allocated(DEVICE) >= BALLAST
    spec = TrySpec(
        model=write_model(tmp_path / "model"),
        examples=write_examples(tmp_path / "examples.parquet"),
        max_new_tokens=8,
        batch_tokens=512,
    )
    usage = run_worker("try_model", spec, DEVICE).usage
    assert usage.device == DEVICE
    assert usage.gpu_seconds == usage.seconds > 0
    assert 0 < usage.peak_memory_bytes < BALLAST


def test_both_engines_give_the_same_greedy_answers_in_float32(tmp_path):
    config = ModelConfig(architecture="llama", settings=WIDE, vocab_size=400)
    ref = write_model(tmp_path / "model", config).model_copy(update={"dtype": "float32"})
    loaded = load(ref, DEVICE)
    loaded.model.generation_config.eos_token_id = ENDS
    assert next(loaded.model.parameters()).dtype == torch.float32
    prompts = [row["messages"] for row in rows(64)]

    def answered(engine):
        made = complete(loaded, prompts, max_new_tokens=24, batch_tokens=1000, engine=engine)
        return [(one.text, one.finish_reason, one.completion_tokens) for one in made]

    continuous = answered("continuous")
    assert continuous == answered("batched")
    assert len({tokens for _, _, tokens in continuous}) > 3  # else slots would never be refilled in mid-answer


def test_steps_are_replayed_unless_the_model_waits_for_the_device(tmp_path, monkeypatch):
    config = ModelConfig(architecture="llama", settings=WIDE, vocab_size=400)
    loaded = load(write_model(tmp_path / "model", config).model_copy(update={"dtype": "float32"}), DEVICE)
    loaded.model.generation_config.eos_token_id = ENDS
    prompts, recorded, record, forward = [row["messages"] for row in rows(64)], [], Replay.record, loaded.model.forward

    def noting(*parts):
        recorded.append(record(*parts))
        return recorded[-1]

    @functools.wraps(forward)  # the engine reads the signature
    def waiting(**inputs):
        inputs["input_ids"].sum().item()
        return forward(**inputs)

    def answered():
        recorded.clear()
        return [one.text for one in complete(loaded, prompts, max_new_tokens=24, batch_tokens=1000)]

    monkeypatch.setattr(Replay, "record", noting)
    first = answered()
    assert len(recorded) > 3
    assert None not in recorded
    monkeypatch.setattr(loaded.model, "forward", waiting)
    assert answered() == first
    assert recorded == [None]


def test_training_in_bfloat16_gives_finite_falling_losses(tmp_path):
    base = write_model(tmp_path / "base")
    (tmp_path / "out").mkdir()
    spec = TrainSpec(
        student_base=base,
        teacher=base,
        training=StudentTrainingConfig(
            learning_rate=5e-3, epochs=4, batch_size=8, evaluations=4, max_length=64, early_stopping_patience=None
        ),
        examples=write_examples(tmp_path / "examples.parquet"),
        name="tiny",
        task="qa",
        out=str(tmp_path / "out"),
        work=str(tmp_path / "work"),
    )
    result = run_worker("train_student", spec, DEVICE)
    assert result.dtype == "float32 weights, bfloat16 arithmetic"
    training = [point.loss for point in result.history if isinstance(point, StepLoss)]
    validation = [point.validation_loss for point in result.history if not isinstance(point, StepLoss)]
    for losses in (training, validation):
        assert all(math.isfinite(loss) for loss in losses)
        assert losses[-1] < 0.8 * losses[0]
