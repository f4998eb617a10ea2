"""A student whose tokenizer has other files, and tokenizes alike, learns the teacher's stored distributions."""

from pathlib import Path

import pytest
import torch

from distill_dagster.config import ModelConfig, StudentTrainingConfig
from distill_dagster.errors import TrainingError
from distill_dagster.logits.tokenizer import tokenizer_hash
from distill_dagster.models.loading import open_model
from distill_dagster.models.pinning import pin_folder
from distill_dagster.models.tokenizer import open_tokenizer
from distill_dagster.training.signals import open_signal
from distill_dagster.training.signals.forward import computing_loss
from distill_dagster.training.signals.logits import LogitsSignal
from distill_dagster.training.specs import TrainSpec
from testing.across_tiny import Across
from testing.logits_tiny import capture, teacher_row
from testing.models_tiny import LLAMA, rows, write_model

ROWS = rows(6)
TEACHERS, STUDENTS = 356 + 40, 356 + 16  # embeddings; the tokenizers have 356 tokens, and each one more of its own


def widened(folder: Path, size: int, added: str) -> Path:
    """A model with more embeddings than tokens, and an added token."""
    config = {**LLAMA, "max_position_embeddings": 128}
    write_model(folder, ModelConfig(architecture="llama", settings=config, vocab_size=400, seed=size))
    model, tokenizer = open_model(folder, "float32"), open_tokenizer(folder)
    torch.manual_seed(size)
    model.resize_token_embeddings(size, mean_resizing=False)
    tokenizer.add_tokens([added], special_tokens=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    teacher = pin_folder(widened(folder / "teacher", TEACHERS, "<tool>"), name="teacher")
    student = pin_folder(widened(folder / "student", STUDENTS, "<image>"), name="student")
    answers = [teacher_row(teacher, row["row_id"], row["reference"][0]) for row in ROWS]
    capture(folder, teacher, ROWS, answers, k=16)
    training = StudentTrainingConfig(signal="logits", logits={"alpha": 0.0}, max_length=64)
    paths = {"examples": "", "logits": [str(folder / "logits.parquet")], "out": "", "work": str(folder)}
    return TrainSpec(student_base=student, teacher=teacher, training=training, name="a", task="qa", **paths)


def opened(spec: TrainSpec) -> tuple[LogitsSignal, torch.nn.Module]:
    folder = Path(spec.student_base.path)
    model = open_model(folder, "float32").eval()
    return open_signal(spec, model, open_tokenizer(folder), Path(spec.work) / "cache", "cpu"), model


def test_tokens_of_one_side_alone_are_masked_on_both(spec):
    """The added tokens and the padding of each side are behind the 356 tokens that both have."""
    teacher, student = (open_tokenizer(Path(ref.path)) for ref in (spec.teacher, spec.student_base))
    assert tokenizer_hash(teacher) != tokenizer_hash(student)
    signal, model = opened(spec)
    assert signal.stored.common == 356
    answer = {"sample": 0, "turn": 0, "row_id": ROWS[0]["row_id"]}
    row = signal.stored.row(signal.stored.place_of(answer))
    assert row.ids.max() < 356
    ids = [3, 20, 4, *row.token_ids.tolist()]
    example = {**answer, "input_ids": ids, "answer_start": 3, "length": len(ids), "stored": 0, "matched": len(ids) - 3}
    batch = signal.collate([example])
    with computing_loss(model):
        signal.loss(model, batch, 1.0).backward()
    gradient = model.get_output_embeddings().weight.grad
    assert gradient[356:].abs().max() == 0
    assert gradient[:356].abs().min(dim=-1).values.max() > 0


def test_the_teachers_folder_is_only_needed_where_the_files_differ(spec, tmp_path):
    gone = spec.teacher.model_copy(update={"path": str(tmp_path / "gone")})
    with pytest.raises(
        TrainingError, match=r"gone is gone, and the student's tokenizer is compared with the teacher's"
    ):
        opened(spec.model_copy(update={"teacher": gone}))
    same = spec.model_copy(update={"teacher": gone, "student_base": spec.teacher})
    assert opened(same)[0].stored.common == TEACHERS


def test_more_stored_tokens_than_both_have_are_refused(spec, monkeypatch):
    monkeypatch.setattr("distill_dagster.training.signals.logits.common_ids", lambda teacher, student: 15)
    with pytest.raises(TrainingError, match=r"teacher.logits.k is 16, and 15 tokens belong to both models: lower `k`"):
        opened(spec)


def test_the_signals_of_one_store_are_told_apart(tmp_path):
    """A run does not resume from the checkpoints of the other."""
    assert Across(tmp_path).signal().name != LogitsSignal.name
