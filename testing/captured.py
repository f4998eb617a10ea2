"""A student beside the stored distributions of its teacher, and the objective of both by hand."""

from functools import cached_property
from pathlib import Path

import torch
from datasets import Dataset

from distill_dagster.config import ModelConfig, StudentTrainingConfig
from distill_dagster.models.loading import open_model, open_tokenizer
from distill_dagster.models.pinning import pin_folder
from distill_dagster.models.rendering import end_ids
from distill_dagster.training.examples import TrainingSet, tokenize
from distill_dagster.training.signals.forward import computing_loss
from distill_dagster.training.signals.logits import LogitsSignal
from testing.logits_tiny import capture, teacher_row
from testing.models_tiny import LLAMA, rows, write_model

ROWS = rows(12)
VOCABULARY = 356  # tokens that the tiny tokenizer has


def training(**objective):
    """A training with the signal `logits`, by default without the cross-entropy."""
    return StudentTrainingConfig(signal="logits", logits={"alpha": 0.0, **objective}, max_length=64)


class Captured:
    """A teacher's distributions over its answers to ROWS, and a student of the same tokenizer."""

    def __init__(self, folder: Path, padding: int = 0, **settings) -> None:
        self.folder = folder
        self.ref = write_model(folder / "teacher")
        if padding:
            wider = open_model(folder / "teacher", "float32")
            wider.resize_token_embeddings(VOCABULARY + padding, mean_resizing=False)
            wider.save_pretrained(folder / "teacher")
            self.ref = pin_folder(folder / "teacher", name="teacher")
        self.teacher, self.tokenizer = open_model(folder / "teacher", "float32"), open_tokenizer(folder / "teacher")
        answers = [teacher_row(self.ref, row["row_id"], row["reference"][0]) for row in ROWS]
        capture(folder, self.ref, ROWS, answers, **{"k": VOCABULARY, **settings})
        changed = ModelConfig(
            architecture="llama", settings={**LLAMA, "max_position_embeddings": 128}, vocab_size=400, seed=7
        )
        write_model(folder / "student", changed)
        self.student = open_model(folder / "student", "float32").eval()

    def signal(self, **objective) -> LogitsSignal:
        paths, config = [str(self.folder / "logits.parquet")], training(**objective)
        return LogitsSignal.open(config, paths, self.student, self.tokenizer, self.folder / "cache")

    @cached_property
    def own(self) -> TrainingSet:
        """The rows with their gold answers."""
        return self.examples({})

    def examples(self, answers: dict[int, str]) -> TrainingSet:
        kept = {"sample": 0, "turn": 0, "split": "train"}
        table = [
            {
                **kept,
                "row_id": row["row_id"],
                "messages": row["messages"],
                "answer": answers.get(i, row["reference"][0]),
            }
            for i, row in enumerate(ROWS)
        ]
        ends = end_ids(self.tokenizer, self.student.generation_config)
        return tokenize(Dataset.from_list(table), self.tokenizer, ends, 64)

    def loss(self, signal, data, model=None):
        """(loss over all rows, gradient of the student's head)"""
        model = model or self.student
        model.zero_grad()
        batch = signal.collate(list(data.joined(signal.join).train))
        with computing_loss(model):
            loss = signal.loss(model, batch, 1.0)
        loss.backward()
        return loss.item(), model.get_output_embeddings().weight.grad.clone()

    def dense(self, objective, model=None):
        """The same by hand from two full forwards, row by row, in float64."""
        model = model or self.student
        model.zero_grad()
        total = torch.zeros((), dtype=torch.float64)
        for row in self.own.train:
            ids, start = torch.tensor([row["input_ids"]]), row["answer_start"]
            with torch.no_grad():
                p = self.teacher(ids).logits[0, start - 1 : -1].double()
            q, tokens = model(ids).logits[0, start - 1 : -1].double(), ids[0, start:]
            temperature = objective["temperature"]
            logp, logq = (p / temperature).log_softmax(-1), (q / temperature).log_softmax(-1)
            if objective["divergence"] == "reverse_kl":
                logp, logq = logq, logp
            divergence = (logp.exp() * (logp - logq)).sum()
            entropy = torch.nn.functional.cross_entropy(q, tokens, reduction="sum")
            alpha = objective.get("alpha", 0.0)
            total = total + alpha * entropy + (1 - alpha) * temperature**2 * divergence
        total.backward()
        return total.item(), model.get_output_embeddings().weight.grad.clone()
