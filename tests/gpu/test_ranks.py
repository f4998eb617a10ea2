"""What only several GPUs show: ranks over NCCL train as one process does, and a spread model answers as a whole one.

Like all tests here it needs neither Dagster nor a fixture of tests/conftest.py.
"""

import numpy as np
import pytest
import torch

from benchmarks.gpu.ranks import run_ranks
from distill_dagster.config import ModelConfig, StudentTrainingConfig
from distill_dagster.logits.prefill import Reader
from distill_dagster.logits.sequences import TokenSequence
from distill_dagster.models import spreading
from distill_dagster.models.decoding import complete
from distill_dagster.models.loading import forget, load, spread_over
from distill_dagster.training.record import StepLoss
from distill_dagster.training.specs import TrainSpec
from distill_dagster.workers import run_worker
from testing.models_tiny import LLAMA, rows, write_examples, write_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="this machine has fewer than two CUDA devices"),
]

DEVICES = ["cuda:0", "cuda:1"]
DEEP = {**LLAMA, "num_hidden_layers": 6, "max_position_embeddings": 128, "initializer_range": 0.2}


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_gpus_train_as_one(tmp_path, parallel):
    base = write_model(tmp_path / "base")
    examples = write_examples(tmp_path / "examples.parquet", 25, 3)

    def spec(name: str) -> TrainSpec:
        (tmp_path / name).mkdir()
        training = StudentTrainingConfig(
            learning_rate=5e-3, epochs=2, batch_size=6, evaluations=2, max_length=64, parallel=parallel
        )
        paths = {"examples": examples, "out": str(tmp_path / name), "work": str(tmp_path / f"work-{name}")}
        return TrainSpec(student_base=base, teacher=base, training=training, name="tiny", task="qa", **paths)

    alone, together = run_worker("train_student", spec("one"), "cuda:0"), run_ranks(spec("two"), 2, "cuda:0")
    losses = [[p.loss for p in run.history if isinstance(p, StepLoss)] for run in (alone, together)]
    assert losses[1] == pytest.approx(losses[0], rel=2e-2)  # bfloat16 arithmetic
    assert together.usage.gpu_seconds == pytest.approx(2 * together.usage.seconds)


def test_a_spread_model_answers_and_reads_as_a_whole_one(tmp_path, monkeypatch):
    config = ModelConfig(architecture="llama", settings=DEEP, vocab_size=400)
    ref = write_model(tmp_path / "model", config).model_copy(update={"dtype": "float32"})
    prompts = [row["messages"] for row in rows(16)]
    sequence = TokenSequence(("row", 0, 0), list(range(5, 45)), 10)

    def seen(engine: str):
        loaded = load(ref, "cuda:0")
        answers = complete(loaded, prompts, max_new_tokens=16, batch_tokens=1000, engine=engine)
        return loaded, [answer.text for answer in answers], Reader(loaded, k=8).read([sequence])[0]

    _, whole, read_whole = seen("batched")
    forget()
    monkeypatch.setattr(spreading, "FITS", 0.0)
    with spread_over(DEVICES):
        loaded, spread, read_spread = seen("auto")
    forget()
    assert {p.device.index for p in loaded.model.parameters()} == {0, 1}
    assert spread == whole
    np.testing.assert_array_equal(read_spread.ids, read_whole.ids)
    np.testing.assert_allclose(read_spread.logprobs, read_whole.logprobs, atol=1e-2)
