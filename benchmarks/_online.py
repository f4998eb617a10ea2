"""One optimizer step on the same fixed rollouts, two ways.

    trl     TRL's DistillationTrainer at beta 0: the teacher reads the rollouts in every step, both heads in one kernel
    ours    the signal `logits` with alpha 0: the teacher's distributions are read from the disk

Both minimize the forward KL at T = 1 over the same answer tokens with the same AdamW. All prompts have the same length
and so have all answers, because TRL's trainer pads both, and on a CPU it would compute the padding too. Gradient
checkpointing, which TRL switches on by default, is off.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.logits import constants_of, power_law
from distill_dagster.config import StudentTrainingConfig
from distill_dagster.config.signals import LogitsSignalConfig
from distill_dagster.logits.distributions import Distributions, encode
from distill_dagster.logits.table import LogitsWriter
from distill_dagster.training.signals.forward import computing_loss
from distill_dagster.training.signals.logits import LogitsBatch, LogitsSignal
from distill_dagster.training.signals.stored import StoredLogits
from distill_dagster.training.signals.text import TextSignal

FORWARD_KL = StudentTrainingConfig(signal="logits", logits=LogitsSignalConfig(alpha=0))


@dataclass(frozen=True, slots=True)
class Rollouts:
    """Answers with their distributions, all to the same prompt, which costs as much as any other."""

    prompt: list[int]
    answers: list[Distributions]
    vocab_size: int

    @classmethod
    def drawn(cls, rows: int, prompt: int, answer: int, vocab_size: int) -> "Rollouts":
        """`rows` answers of `answer` tokens whose distributions fall off by a power law."""
        rng = np.random.default_rng(0)
        return cls(list(range(5, 5 + prompt)), [power_law(rng, answer, vocab_size) for _ in range(rows)], vocab_size)

    @property
    def examples(self) -> list[dict[str, Any]]:
        """As the trainer has them after the join."""
        return [
            {"input_ids": [*self.prompt, *given.token_ids.tolist()], "answer_start": len(self.prompt)}
            | {"stored": i, "matched": len(given.token_ids)}
            for i, given in enumerate(self.answers)
        ]

    def write(self, path: Path) -> None:
        """The distributions as `teacher_logits` stores them."""
        constants = constants_of(self.vocab_size, "lossless") | {"k": self.answers[0].ids.shape[1]}
        with LogitsWriter(path) as writer:
            writer.write(
                [
                    {"row_id": f"{i}", "sample": 0, "turn": 0, "tokens": len(given.token_ids)}
                    | {**encode(given, self.vocab_size, "lossless"), **constants}
                    for i, given in enumerate(self.answers)
                ]
            )

    def signal(self, folder: Path, training: StudentTrainingConfig = FORWARD_KL) -> LogitsSignal:
        """Our signal over the distributions, which are written into `folder`."""
        self.write(folder / "logits.parquet")
        stored = StoredLogits([str(folder / "logits.parquet")], folder / "cache", self.vocab_size)
        return LogitsSignal(TextSignal(pad=0), stored, training, self.vocab_size)

    def for_trl(self, device: str) -> dict[str, torch.Tensor]:
        """As TRL's trainer has them after its generation."""
        answers = torch.from_numpy(np.stack([given.token_ids for given in self.answers])).long().to(device)
        prompts = torch.tensor([self.prompt] * len(self.answers), device=device)
        return {
            "prompt_ids": prompts,
            "prompt_mask": torch.ones_like(prompts),
            "completion_ids": answers,
            "completion_mask": torch.ones_like(answers),
            "num_items_in_batch": torch.tensor(float(answers.numel()), device=device),
        }


def our_step(
    student: Any, signal: LogitsSignal, collate: Callable[[], LogitsBatch], device: str
) -> Callable[[], float]:
    """Collate a batch, forward and backward pass, optimizer. Returns the loss."""
    optimizer, entered = torch.optim.AdamW(student.parameters(), lr=1e-6), contextlib.ExitStack()
    entered.enter_context(computing_loss(student))  # as long as there is this step; a training enters it once too

    def step(_entered: contextlib.ExitStack = entered) -> float:
        batch = _moved(collate(), device)
        with precision(device):
            loss = signal.loss(student, batch, batch["weight"])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def trl_step(student: Any, teacher: Any, rollouts: Rollouts, folder: Path, device: str) -> Callable[[], float]:
    """TRL's own training step, whose generation is replaced by the rollouts, and the optimizer. Returns the loss."""
    trainer, batch = _trl_trainer(student, teacher, folder, device), rollouts.for_trl(device)
    trainer._prepare_inputs = lambda _: batch
    trainer.current_gradient_accumulation_steps = 1
    optimizer = torch.optim.AdamW(trainer.model.parameters(), lr=1e-6)

    def step() -> float:
        with precision(device):
            loss = trainer.training_step(trainer.model, {}, None)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def precision(device: str) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 arithmetic on a GPU, float32 on a CPU."""
    return torch.autocast("cuda", torch.bfloat16) if device.startswith("cuda") else contextlib.nullcontext()


def _moved(batch: Any, device: str) -> Any:
    """The batch on the device; tensors may lie one level deeper."""
    moved = {name: part.to(device) if isinstance(part, torch.Tensor) else part for name, part in batch.items()}
    return moved | {"stored": {name: part.to(device) for name, part in batch["stored"].items()}}


def _trl_trainer(student: Any, teacher: Any, folder: Path, device: str) -> Any:
    from datasets import Dataset
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast
    from trl import DistillationConfig, DistillationTrainer

    words = Tokenizer(WordLevel({"<pad>": 0, "<eos>": 1, "a": 2}, unk_token="a"))
    config = DistillationConfig(
        output_dir=str(folder / "trl"),
        beta=0.0,
        gradient_checkpointing=False,
        bf16=device.startswith("cuda"),
        use_cpu=not device.startswith("cuda"),
        report_to="none",
    )
    return DistillationTrainer(
        student,
        teacher.requires_grad_(False),
        config,
        Dataset.from_dict({"prompt": ["a"]}),
        processing_class=PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<eos>"),
    )
