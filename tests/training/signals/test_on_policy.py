"""The on-policy signal: rollouts are learned by divergence alone, texts as before, in the share that was asked for."""

from pathlib import Path

import pytest
import torch

from distill_dagster.config import StudentTrainingConfig
from distill_dagster.errors import TrainingError
from distill_dagster.logits.distributions import NO_DRAW
from distill_dagster.models.rendering import end_ids
from distill_dagster.models.tokenizer import open_tokenizer
from distill_dagster.store import files, parquet, schemas
from distill_dagster.training.examples import TrainingSet, read_examples, tokenize
from distill_dagster.training.signals import open_signal
from distill_dagster.training.signals.forward import computing_loss
from distill_dagster.training.signals.on_policy import mixture
from distill_dagster.training.specs import TrainSpec
from testing.logits_tiny import capture, teacher_row
from testing.models_tiny import rows, write_examples
from testing.rollouts_tiny import Pair

VOCABULARY = 356


class Round:
    """A round over rollouts whose whole distributions are stored."""

    def __init__(self, folder: Path, **how) -> None:
        self.pair, self.folder = Pair.new(folder), folder
        _, self.rollouts = self.pair.sample()
        self.pair.capture(**{"k": VOCABULARY, **how})
        self.student, self.teacher = self.pair.model("student"), self.pair.model("teacher")
        self.tokenizer = open_tokenizer(folder / "student")
        (folder / "texts").mkdir()
        answers = [teacher_row(self.pair.teacher, row["row_id"], row["reference"][0]) for row in rows(12)]
        capture(folder / "texts", self.pair.teacher, rows(12), answers, k=VOCABULARY)

    def spec(self, examples=None, logits=None, **rounds) -> TrainSpec:
        training = StudentTrainingConfig(signal="on_policy", on_policy=rounds, logits=logits, max_length=64)
        return TrainSpec(
            student_base=self.pair.student,
            teacher=self.pair.teacher,
            training=training,
            examples=examples or self.pair.examples,
            logits=[str(self.folder / "texts" / files.LOGITS_FILE)],
            round=1,
            rollouts=str(self.folder / "rollouts" / files.ROLLOUTS_FILE),
            rollout_logits=str(self.folder / "logits" / files.LOGITS_FILE),
            name="tiny",
            task="qa",
            out=str(self.folder),
            work=str(self.folder / "work"),
        )

    def joined(self, spec):
        """(signal, the mixed training set)"""
        signal = open_signal(spec, self.student, self.tokenizer, self.folder / "cache", "cpu")
        examples = read_examples(Path(spec.examples), self.folder / "cache")
        ends = end_ids(self.tokenizer, self.student.generation_config)
        return signal, tokenize(examples, self.tokenizer, ends, 64).joined(signal.join)

    def loss(self, signal, data: TrainingSet):
        """(loss over all rows, gradient of the head)"""
        self.student.zero_grad()
        batch = signal.collate(list(data.train))
        with computing_loss(self.student):
            loss = signal.loss(self.student, batch, 1.0)
        loss.backward()
        return loss.item(), self.student.get_output_embeddings().weight.grad.clone()

    def dense(self, data: TrainingSet, divergence="forward_kl", alpha=1.0):
        """The same by hand, from full forwards in float64. `alpha` weighs CE and divergence of the texts."""
        self.student.zero_grad()
        total = torch.zeros((), dtype=torch.float64)
        for row in data.train:
            ids, start = torch.tensor([row["input_ids"]]), row["answer_start"]
            with torch.no_grad():
                p = self.teacher(ids).logits[0, start - 1 : -1].double().log_softmax(-1)
            q = self.student(ids).logits[0, start - 1 : -1].double().log_softmax(-1)
            entropy = -q.gather(1, ids[0, start:, None]).sum()
            forward, reverse = (p.exp() * (p - q)).sum(), (q.exp() * (q - p)).sum()
            if row["is_rollout"]:
                total = total + (forward if divergence == "forward_kl" else reverse)
            else:
                total = total + alpha * entropy + (1 - alpha) * forward
        total.backward()
        return total.item(), self.student.get_output_embeddings().weight.grad.clone()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Round:
    return Round(tmp_path_factory.mktemp("whole"))


def assert_equal(found, expected):
    assert found[0] == pytest.approx(expected[0], rel=2e-3)  # what is stored is fp16
    assert torch.linalg.vector_norm(found[1] - expected[1]) < 5e-3 * torch.linalg.vector_norm(expected[1])


@pytest.mark.parametrize("divergence", ["forward_kl", "reverse_kl"])
def test_it_is_the_dense_divergence_on_rollouts_and_cross_entropy_on_texts(whole, divergence):
    signal, data = whole.joined(whole.spec(divergence=divergence))
    assert_equal(whole.loss(signal, data), whole.dense(data, divergence))


def test_with_a_start_by_logits_the_texts_keep_that_objective(whole):
    signal, data = whole.joined(whole.spec(start="logits", logits={"alpha": 0.3}))
    assert_equal(whole.loss(signal, data), whole.dense(data, alpha=0.3))


def test_the_students_own_tokens_have_no_cross_entropy(whole):
    """A student that is its teacher has nothing to learn from its samples, likely or not."""
    signal, data = whole.joined(whole.spec(share=1))
    assert data.train["is_rollout"] == [True] * 12
    _, other = whole.loss(signal, data)
    student, whole.student = whole.student, whole.teacher
    try:
        loss, own = whole.loss(signal, data)
    finally:
        whole.student = student
    assert abs(loss) < 0.05
    assert own.norm() < 0.05 * other.norm()  # what is stored is fp16


def test_prompts_are_learned_from_the_texts_alone(whole):
    spec = whole.spec()
    training = spec.training.model_copy(update={"prompt_loss_weight": 0.5})
    signal, data = whole.joined(spec.model_copy(update={"training": training}))
    batch = signal.collate(list(data.train))
    for row, weights in zip(data.train, batch["weights"], strict=True):
        expected = 0.0 if row["is_rollout"] else 0.5
        assert weights[1 : row["answer_start"]].tolist() == [expected] * (row["answer_start"] - 1)
    assert batch["weight"] == pytest.approx(float(batch["weights"].sum()))
    assert len(batch["is_rollout"]) == int((batch["weights"] > 0).sum())


@pytest.mark.parametrize(("share", "texts", "rollouts"), [(0.5, 12, 12), (0.25, 12, 4), (0.75, 4, 12), (1, 0, 12)])
def test_the_share_of_rollouts_is_that_of_the_config(whole, share, texts, rollouts):
    _, data = whole.joined(whole.spec(share=share))
    counts = data.counts
    assert (counts["rollout_rows"], counts["text_rows"]) == (rollouts, texts)
    assert sum(data.train["is_rollout"]) == rollouts
    assert counts["rollouts_not_drawn"] == 12 - rollouts
    assert counts["texts_not_drawn"] == 12 - texts
    assert counts["train_rows"] == rollouts + texts
    keys = [tuple(row[name] for name in ("row_id", "is_rollout")) for row in data.train]
    assert len(set(keys)) == len(keys), "none is taken twice"


def test_rollouts_alone_need_no_text_that_can_train(whole, tmp_path):
    spec = whole.spec(start="logits", share=1)
    others = [{**row, "row_id": f"other-{row['row_id']}"} for row in rows(12)]
    answers = [teacher_row(whole.pair.teacher, row["row_id"], row["reference"][0]) for row in others]
    capture(tmp_path, whole.pair.teacher, others, answers, k=VOCABULARY)
    _, data = whole.joined(spec.model_copy(update={"logits": [str(tmp_path / files.LOGITS_FILE)]}))
    assert (data.counts["rollout_rows"], data.counts["text_rows"], data.counts["no_logits"]) == (12, 0, 12)


def test_the_mixture_keeps_the_share_with_as_many_rows_as_it_can():
    assert mixture(400, 1000, 0.5) == (400, 400)
    assert mixture(400, 600, 0.25) == (200, 600)
    assert mixture(10, 1000, 0.1) == (10, 90)
    assert mixture(400, 1000, 1) == (400, 0)
    assert mixture(1000, 10, 0.01) == (1, 10)
    assert mixture(10, 1000, 0.99) == (10, 1)


def test_a_rollout_without_all_of_its_distributions_is_refused(tmp_path):
    own = Round(tmp_path)
    table = own.rollouts
    table[0]["token_ids"] = [*table[0]["token_ids"], 7]  # the teacher has not read this one
    table[1]["row_id"] = "unknown"
    table[2]["prompt_ids"] = [5] * 60
    parquet.write_table(tmp_path / "rollouts" / files.ROLLOUTS_FILE, table, schemas.ROLLOUT)
    _, data = own.joined(own.spec())
    assert data.counts["rollouts_without_logits"] == 2
    assert data.counts["rollouts_too_long"] == 1
    assert data.counts["rollout_rows"] == 9
    parquet.write_table(tmp_path / "rollouts" / files.ROLLOUTS_FILE, table[:3], schemas.ROLLOUT)
    with pytest.raises(TrainingError, match=r"0 of 12 rows can train with this signal: .*2 rollouts_without_logits"):
        own.joined(own.spec())


def test_a_sampled_tail_serves_the_forward_kl(tmp_path):
    own = Round(tmp_path, k=8, tail="sampled")
    signal, data = own.joined(own.spec())
    batch = signal.collate(list(data.train))
    text = ~batch["is_rollout"]
    assert batch["rollouts"]["share"][text].abs().sum() == 0
    assert not batch["rollouts"]["has"][text].any()
    assert NO_DRAW not in batch["rollouts"]["drawn"]
    (_, gradient), (_, dense) = own.loss(signal, data), own.dense(data)
    assert torch.cosine_similarity(gradient.flatten().double(), dense.flatten().double(), dim=0) > 0.8


def test_the_same_round_draws_the_same_rows_and_the_next_one_others(whole, tmp_path):
    examples = write_examples(tmp_path / "examples.parquet", train=64)
    spec = whole.spec(examples)
    drawn = [
        [row["row_id"] for row in whole.joined(spec.model_copy(update={"round": number}))[1].train]
        for number in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_formula_names_both_parts():
    training = StudentTrainingConfig(signal="on_policy", on_policy={"divergence": "jsd", "share": 0.25, "beta": 0.1})
    assert training.loss == "on rollouts (0.25 of the rows): jsd(0.1) at T = 1; on the teacher's text: CE"
    alone = StudentTrainingConfig(signal="on_policy", on_policy={"share": 1})
    assert alone.loss == "on rollouts (1 of the rows): forward_kl at T = 1"
