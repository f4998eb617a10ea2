"""A teacher and a student with two byte-level BPE tokenizers, and what is stored of the teacher's answers."""

from pathlib import Path

from datasets import Dataset

from distill_dagster.config import ModelConfig, StudentTrainingConfig
from distill_dagster.models.loading import open_model
from distill_dagster.models.rendering import end_ids
from distill_dagster.models.tokenizer import open_tokenizer
from distill_dagster.training.examples import TrainingSet, tokenize
from distill_dagster.training.signals import open_signal
from distill_dagster.training.signals.alm import AlmSignal
from distill_dagster.training.signals.forward import computing_loss
from distill_dagster.training.specs import TrainSpec
from testing.logits_tiny import capture, teacher_row
from testing.models_tiny import LLAMA, raw_row, rows, write_model

ASKED = [{"role": "user", "content": "Which colour?"}]
ANSWERS = ("red", "blue and grün", "赤い 🙂 door", "The door number 7 is yellow.")
TABLE = [*rows(8), *(raw_row(f"own-{i}", ASKED, [answer]) for i, answer in enumerate(ANSWERS))]


class Across:
    """A teacher that has answered TABLE, and a student with another tokenizer."""

    def __init__(self, folder: Path, vocab_size=300, bos=False) -> None:
        self.folder, self.teacher_ref = folder, write_model(folder / "teacher")
        model = ModelConfig(
            architecture="llama", settings={**LLAMA, "max_position_embeddings": 128}, vocab_size=vocab_size, seed=7
        )
        self.ref = write_model(folder / "student", model)
        if bos:
            path = folder / "student" / "chat_template.jinja"
            path.write_text("<|pad|>" + path.read_text())
        answers = [teacher_row(self.teacher_ref, row["row_id"], row["reference"][0]) for row in TABLE]
        _, self.stored, _ = capture(folder, self.teacher_ref, TABLE, answers, k=1)
        self.teacher, self.student = (open_model(folder / name, "float32").eval() for name in ("teacher", "student"))
        self.teachers, self.students = (open_tokenizer(folder / name) for name in ("teacher", "student"))

    def spec(self, **objective) -> TrainSpec:
        training = StudentTrainingConfig(
            signal="logits", logits={"across_tokenizers": "alm", **objective}, max_length=120
        )
        paths = {"examples": "", "logits": [str(self.folder / "logits.parquet")], "out": "", "work": ""}
        return TrainSpec(
            student_base=self.ref, teacher=self.teacher_ref, training=training, name="a", task="qa", **paths
        )

    def signal(self, **objective) -> AlmSignal:
        return open_signal(self.spec(**objective), self.student, self.students, self.folder / "cache", "cpu")

    def examples(self, answers=None) -> TrainingSet:
        keys = {"sample": 0, "turn": 0, "split": "train"}
        table = [
            {
                **keys,
                "row_id": row["row_id"],
                "messages": row["messages"],
                "answer": (answers or {}).get(row["row_id"], row["reference"][0]),
            }
            for row in TABLE
        ]
        return tokenize(Dataset.from_list(table), self.students, end_ids(self.students), 120)

    def loss(self, signal, data):
        self.student.zero_grad()
        batch = signal.collate(list(data.joined(signal.join).train))
        with computing_loss(self.student):
            loss = signal.loss(self.student, batch, 1.0)
        loss.backward()
        return loss.item(), self.student.get_output_embeddings().weight.grad.clone()
