"""The loop takes any signal, gives it each row's keys, and trains as it did when its losses were written down."""

from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from distill_dagster.config import ModelConfig, TrainingConfig
from distill_dagster.models.loading import open_model, open_tokenizer
from distill_dagster.models.rendering import end_ids
from distill_dagster.store import parquet, schemas
from distill_dagster.training.examples import KEYS, read_examples, tokenize
from distill_dagster.training.loop import train
from distill_dagster.training.record import StepLoss
from distill_dagster.training.signals.text import TextSignal
from testing.models_tiny import rows, write_model

GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64, "resid_pdrop": 0.2, "embd_pdrop": 0.2}
TRAINING = TrainingConfig(
    learning_rate=1e-3,
    epochs=2,
    batch_size=4,
    gradient_accumulation=2,
    evaluations=2,
    max_length=64,
    prompt_loss_weight=0.3,
    label_smoothing=0.1,
)
# (step, loss), and (step, validation loss) at steps 4 and 8: torch 2.13 on a CPU, before the loss became a signal.
LOSSES = [
    (1, 5.912641525268555),
    (2, 5.789521217346191),
    (3, 5.694690704345703),
    (4, 5.647185325622559),
    (4, 5.499513387680054),
    (5, 5.598559379577637),
    (6, 5.546661853790283),
    (7, 5.548642158508301),
    (8, 5.5384416580200195),
    (8, 5.433196783065796),
]


@dataclass(frozen=True)
class Joining(TextSignal):
    """The text signal, and a note of each row that its batches were made of."""

    name: ClassVar[str] = "joining"
    columns: ClassVar[tuple[str, ...]] = ("label",)
    seen: list[tuple] = field(default_factory=list)

    def join(self, rows):
        return rows.map(lambda row: {"label": f"label of {row['row_id']}"}), {}

    def collate(self, rows):
        self.seen.extend(tuple(row[key] for key in (*KEYS, "label")) for row in rows)
        return TextSignal(self.pad, self.prompt_weight, self.smoothing).collate(rows)


def example_of(i, row):
    kept = {key: row[key] for key in ("row_id", "shard", "split", "task", "messages", "reference")}
    return {**kept, "sample": i % 3, "turn": i % 2, "answer": row["reference"][0], "label": f"{i}"}


@pytest.fixture
def trained(tmp_path):
    """Train a tiny model with dropout on 32 examples, with the signal that a function makes of a padding token."""
    ref = write_model(tmp_path / "model", ModelConfig(architecture="gpt2", settings=GPT2, vocab_size=400))
    kept = ("row_id", "shard", "split", "task", "messages", "reference")
    table = [
        {
            **{key: row[key] for key in kept},
            "sample": i % 3,
            "turn": i % 2,
            "answer": row["reference"][0],
            "label": f"{i}",
        }
        for i, row in enumerate([*rows(32), *rows(8, "validation")])
    ]
    parquet.write_table(tmp_path / "examples.parquet", table, schemas.EXAMPLE)

    def run(signal_of):
        model, tokenizer = open_model(tmp_path / "model", "float32"), open_tokenizer(tmp_path / "model")
        signal = signal_of(tokenizer.pad_token_id)
        examples = read_examples(tmp_path / "examples.parquet", tmp_path / "datasets")
        data = tokenize(examples, tokenizer, end_ids(tokenizer, model.generation_config), TRAINING.max_length).joined(
            signal.join
        )
        options = {"device": "cpu", "work": tmp_path / "work", "start_revision": ref.revision, "label": "train"}
        return train(model, tokenizer, data, TRAINING, signal, **options), signal, table

    return run


def text(pad):
    return TextSignal.of(TRAINING, pad)


def curve(run):
    return [(p.step, p.loss if isinstance(p, StepLoss) else p.validation_loss) for p in run.history]


def test_the_losses_are_those_that_were_written_down(trained):
    run, _, _ = trained(text)
    assert [step for step, _ in curve(run)] == [step for step, _ in LOSSES]
    assert [loss for _, loss in curve(run)] == pytest.approx([loss for _, loss in LOSSES], rel=1e-6)


def test_a_signal_reads_its_columns_and_the_keys_of_each_row(trained):
    run, signal, table = trained(lambda pad: Joining(pad, TRAINING.prompt_loss_weight, TRAINING.label_smoothing))
    own = [(*(row[key] for key in KEYS), f"label of {row['row_id']}") for row in table if row["split"] == "train"]
    assert sorted(signal.seen) == sorted(own * 2)  # each row once an epoch; the validation loss is of the text
    assert run.resumed_from_step == 0
    again, _, _ = trained(text)
    assert again.resumed_from_step == 0  # the checkpoints of another signal do not count
    assert curve(again) == curve(run)
