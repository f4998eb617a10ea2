"""The hidden signal against the same objective from two full forwards in float64, row by row."""

from pathlib import Path

import pytest
import torch
from datasets import Dataset

from distill_dagster.config import ModelConfig, StudentTrainingConfig
from distill_dagster.errors import ModelError, TrainingError
from distill_dagster.logits.tokenizer import tokenizer_hash
from distill_dagster.models.layers import layers_of, projections_of
from distill_dagster.models.loading import open_tokenizer
from distill_dagster.models.row_limits import RowLimits
from distill_dagster.training.signals.forward import computing_loss
from distill_dagster.training.signals.hidden import PROJECTIONS, HiddenSignal
from distill_dagster.training.signals.relations import relation_loss
from testing.hidden_tiny import GPT2, SHAPES, Both
from testing.models_tiny import LLAMA, write_model


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return Both(tmp_path_factory.mktemp("both"))


OBJECTIVES = {
    "defaults": {},
    "mse": {"distance": "mse", "alpha": 0.3},
    "one pair": {"layers": [[2, 3]]},
    "relations": {"layers": [], "relations": {"heads": 8}},
    "relations of two pairs": {"alpha": 0.2, "relations": {"heads": 4, "layers": [[1, 2], [2, 4]], "weight": 0.7}},
}


def agree(ours, theirs, within=1e-6):
    """Weights of tokens are float32, and so is the arithmetic of Llama's norms, in any dtype of the model."""
    (loss, gradients), (expected, dense) = ours, theirs
    assert loss == pytest.approx(expected, rel=1e-7)
    for name, gradient in dense.items():
        assert (gradients[name] - gradient).norm() <= within * gradient.norm(), name


@pytest.mark.parametrize(("objective", "prompt_weight"), zip(OBJECTIVES, [0.0, 0.25, 0.0, 0.0, 0.25], strict=True))
def test_it_is_the_dense_objective(both, objective, prompt_weight):
    signal = both.signal(prompt_weight, **OBJECTIVES[objective])
    agree(both.loss(signal), both.dense(signal, prompt_weight))


@pytest.mark.parametrize("architecture", ["qwen2", "gpt2", "phi3"])
def test_queries_keys_and_values_are_read_in_every_architecture(tmp_path, architecture):
    """Grouped queries, GPT-2's one projection of three equal parts and Phi-3's of unequal ones."""
    shape = SHAPES[architecture]
    models = Both(tmp_path, architecture, shape)
    signal = models.signal(layers=[[1, 1]], relations={"heads": 4})
    agree(models.loss(signal), models.dense(signal), within=1e-12 if architecture == "gpt2" else 1e-6)


def test_gradcheck_of_the_relations():
    random = torch.Generator().manual_seed(0)
    student = torch.randn(2, 5, 4, generator=random, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(2, 5, 8, generator=random, dtype=torch.float64)
    weights = torch.tensor([[0, 0.5, 1, 0, 0], [1, 0, 0, 2, 1]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: relation_loss(x, teacher, 2, weights), student)


@pytest.mark.parametrize("distance", ["cosine", "mse"])
def test_a_student_equal_to_its_teacher_has_nothing_to_imitate(tmp_path, distance):
    """The projections begin as the identity, so that only the cross-entropy remains, in loss and gradient."""
    one = Both(tmp_path, teacher=SHAPES["llama"])
    one.student.load_state_dict(one.teacher.model.state_dict())
    signal = one.signal(distance=distance, relations={"heads": 2})
    loss, gradients = one.loss(signal, divisor=0.5)  # alpha is 0.5
    with computing_loss(one.student):
        one.student.zero_grad()
        text = signal.base.loss(one.student, signal.collate(list(one.data.train)), 1.0)
        text.backward()
    assert loss == pytest.approx(text.item(), rel=1e-12)
    for name, parameter in one.student.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-9, atol=1e-9)
    assert all(gradients[name].abs().max() < 1e-12 for name in gradients if name.startswith(PROJECTIONS))


def test_accumulation_changes_nothing(both):
    signal, examples = both.signal(relations={"heads": 4}), list(both.data.train)
    weight = signal.collate(examples)["weight"]
    whole = both.loss(signal, examples, weight)
    parts = [both.loss(signal, part, weight) for part in (examples[:1], examples[1:4], examples[4:])]
    assert sum(loss for loss, _ in parts) == pytest.approx(whole[0], rel=1e-9)
    for name, gradient in whole[1].items():
        torch.testing.assert_close(sum(grads[name] for _, grads in parts), gradient, rtol=1e-8, atol=1e-12)


def test_gradient_checkpointing_changes_nothing(tmp_path):
    """The layers are computed twice, and hooks inside of them run twice."""
    one = Both(tmp_path)
    signal = one.signal(relations={"heads": 4})
    plain = one.loss(signal)
    one.student.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    loss, gradients = one.loss(signal, change=lambda student: student.train())
    assert loss == pytest.approx(plain[0], rel=1e-12)
    for name, gradient in plain[1].items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-9, atol=1e-12)


def test_a_set_of_which_the_teacher_reads_nothing_is_an_error(tmp_path):
    short = Both(tmp_path, teacher=("gpt2", {**GPT2, "n_positions": 4}))
    with pytest.raises(TrainingError, match="0 of 6 rows can train with this signal: 6 teacher_cannot_read"):
        short.data.joined(short.signal().join)


def test_nothing_of_the_signal_remains_in_the_student_or_the_teacher(both):
    before = set(both.student.state_dict())
    signal = both.signal(relations={"heads": 4})
    with signal.attached(both.student):
        assert {name for name in both.student.state_dict() if name not in before} == {
            f"{PROJECTIONS}.{pair}.weight" for pair in ("1_2", "2_4")
        }
    assert set(both.student.state_dict()) == before
    hooks = [m._forward_hooks for model in (both.student, both.teacher.model) for m in model.modules()]
    assert not any(hooks)
    assert all(parameter.grad is None for parameter in both.teacher.model.parameters())


def test_the_teachers_weights_are_not_trained(both):
    names = {name for name, _ in both.student.named_parameters()}
    with both.signal().attached(both.student):
        own = {id(p) for p in both.student.parameters()}
    assert not own & {id(p) for p in both.teacher.model.parameters()}
    assert names == {name for name, _ in both.student.named_parameters()}


def test_rows_that_the_teacher_cannot_read_are_counted(both, tmp_path):
    """The teacher has a position for the shorter half of the rows."""
    lengths = sorted(both.data.train["length"])
    most = lengths[len(lengths) // 2]
    short = Both(tmp_path, teacher=("gpt2", {**GPT2, "n_positions": most}))
    joined = short.data.joined(short.signal().join)
    assert joined.counts["teacher_cannot_read"] == sum(length > most for length in lengths) > 0
    assert joined.counts["train_rows"] == len(joined.train) == sum(length <= most for length in lengths)


def test_another_tokenizer_is_refused(both, tmp_path):
    fewer = ModelConfig(architecture="llama", settings=LLAMA, vocab_size=330)
    other = open_tokenizer(Path(write_model(tmp_path / "other", fewer).path))
    signal = both.signal()
    training = StudentTrainingConfig(signal="hidden", hidden=signal.config)
    with pytest.raises(ModelError, match="to the teacher's tokenizer and"):
        HiddenSignal.open(signal.base, training, both.student, other, both.teacher)


def test_a_tokenizer_with_other_files_is_taken_and_rows_with_a_token_of_its_own_are_left_out(tmp_path):
    """The teacher has embeddings for the student's own token, and reads something else there."""
    both = Both(tmp_path)
    both.teacher.model.resize_token_embeddings(500, mean_resizing=False)
    own = open_tokenizer(tmp_path / "student")
    own.add_tokens(["<tool>"], special_tokens=True)
    assert tokenizer_hash(own) != tokenizer_hash(both.tokenizer)
    plain = both.signal()
    training = StudentTrainingConfig(signal="hidden", hidden=plain.config)
    signal = HiddenSignal.open(plain.base, training, both.student, own, both.teacher)
    assert signal.common == len(both.tokenizer)
    first, *others = both.data.train
    with_own = {**first, "input_ids": [*first["input_ids"][:-1], own.convert_tokens_to_ids("<tool>")]}
    assert RowLimits.of(both.teacher.model.config).embedded > signal.common
    joined, left_out = signal.join(Dataset.from_list([with_own, *others]))
    assert left_out["teacher_cannot_read"] == 1
    assert len(joined) == len(others)


@pytest.mark.parametrize(
    ("hidden", "said"),
    [
        ({"layers": [[1, 5]]}, "pairs 1 with 5, and the teacher has 4 layers"),
        ({"layers": [[3, 1]]}, "pairs 3 with 1, and the student has 2 layers"),
        ({"relations": {"heads": 2, "layers": [[2, 9]]}}, r"relations.layers` pairs 2 with 9"),
        ({"relations": {"heads": 5}}, r"student 32/32/32, teacher 48/24/24\): use one of 1, 2, 4, 8$"),
    ],
)
def test_layers_and_heads_that_are_not_there_are_refused(both, hidden, said):
    with pytest.raises(ModelError, match=said):
        both.signal(**hidden)


def test_an_architecture_whose_projections_cannot_be_read_is_refused(tmp_path):
    """GPT-NeoX has one projection that is interleaved by head."""
    neox = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    models = Both(tmp_path, teacher=("gpt_neox", neox))
    with pytest.raises(ModelError, match="gpt_neox cannot be read"):
        models.signal(relations={"heads": 2})
    assert models.loss(models.signal())[0] > 0
    with pytest.raises(ModelError):
        projections_of(layers_of(models.teacher.model)[0], models.teacher.model.config)
