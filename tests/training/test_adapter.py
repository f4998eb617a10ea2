"""LoRA trains adapters alone, resumes to the same weights, and publishes a plain model with the adapter beside it."""

import json
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from distill_dagster.config import StudentTrainingConfig, TrainingConfig
from distill_dagster.errors import TrainingError
from distill_dagster.models.loading import open_model
from distill_dagster.models.ref import ModelRef
from distill_dagster.progress import listen
from distill_dagster.training.adapter import attach, finish_weights, prepare_weights, trainable_count
from distill_dagster.training.prepare import prepare_model
from distill_dagster.training.record import ValidationLoss
from distill_dagster.training.signals import kernel
from distill_dagster.training.specs import PrepareSpec
from distill_dagster.training.student import train_student
from testing.models_tiny import TINY, rows, without_speed, write_rows
from testing.tiny_training import imitating

LORA = {"rank": 4, "alpha": 8, "dropout": 0.1}
TRAINING = StudentTrainingConfig(
    learning_rate=2e-2, epochs=2, batch_size=8, evaluations=4, max_length=64, early_stopping_patience=None, lora=LORA
)
IDS = torch.arange(2, 22).reshape(2, 10)


@pytest.fixture
def spec_of(spec_of, tmp_path):
    """A spec to train adapters of a tiny model, with a work folder of its own."""

    def spec(name, training=TRAINING, **changes):
        return spec_of(name, training, **{"work": str(tmp_path / f"{name}-work"), **changes})

    return spec


def logits(model):
    with torch.no_grad():
        return model.eval()(input_ids=IDS).logits


def test_the_published_model_has_the_adapter_merged_and_beside_it(spec_of):
    spec = spec_of("out")
    result = train_student(spec, "cpu")
    folder, base = Path(spec.out), open_model(Path(spec.student_base.path), "float32")
    merged = open_model(folder / "model", "float32")
    adapted = AutoPeftModelForCausalLM.from_pretrained(folder / "adapter")  # finds its base by its own config
    torch.testing.assert_close(logits(merged), logits(adapted))
    assert not torch.allclose(logits(merged), logits(base), atol=1e-3)
    assert {name for name, _ in merged.named_parameters()} == {name for name, _ in base.named_parameters()}
    assert {path.name for path in (folder / "adapter").iterdir()} == {
        "adapter_model.safetensors",
        "adapter_config.json",
    }
    config = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["lora_dropout"]) == (4, 8, 0.1)
    assert config["base_model_name_or_path"] == spec.student_base.path
    # Conv1D of GPT-2: c_attn 32 -> 96, c_proj 32 -> 32, c_fc 32 -> 128, c_proj 128 -> 32; two layers
    assert result.trainable_parameters == 2 * 4 * ((32 + 96) + (32 + 32) + (32 + 128) + (128 + 32))
    assert result.counts.parameters == sum(p.numel() for p in base.parameters())
    assert result.training["lora"]["rank"] == 4


def test_only_adapters_train_and_the_head_gets_no_gradient(spec_of, monkeypatch):
    def head_gradient(*_):
        raise AssertionError("the gradient of a frozen head is computed")

    monkeypatch.setattr(kernel, "_add_product", head_gradient)
    spec = spec_of("out")
    train_student(spec, "cpu")
    base, merged = (open_model(path, "float32") for path in (Path(spec.student_base.path), Path(spec.out) / "model"))
    before, after = dict(base.named_parameters()), dict(merged.named_parameters())
    changed = {name.rpartition(".h.")[2].partition(".")[2] for name in before if not before[name].equal(after[name])}
    assert changed == {"attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight"}
    with pytest.raises(AssertionError, match="frozen head"):
        train_student(spec_of("full", TRAINING.model_copy(update={"lora": None})), "cpu")


class StoppedError(Exception):
    pass


@pytest.mark.slow
def test_projections_train_beside_the_adapters_and_are_resumed(spec_of, tmp_path):
    given = imitating(tmp_path, TRAINING, alpha=0.2, relations={"heads": 8})
    seen: list[dict] = []

    def saved(progress):
        for path in Path(spec_of("whole").work).glob("runs/*/checkpoint-*/beside.safetensors"):
            if (path.parent / "complete.json").exists():
                seen.append(load_file(path))

    with listen(saved):
        whole = train_student(spec_of("whole", **given), "cpu")
    first, last = seen[0], seen[-1]
    assert {name: tuple(weight.shape) for name, weight in first.items()} == {
        "distillation.1_2.weight": (48, 32),
        "distillation.2_3.weight": (48, 32),
    }
    assert not any(first[name].equal(last[name]) for name in first)
    resumed = _stopped_and_resumed(spec_of("stopped", **given))
    assert without_speed(resumed.history) == without_speed(whole.history)
    assert resumed.data_version == whole.data_version != train_student(spec_of("text"), "cpu").data_version


@pytest.mark.slow
def test_a_stopped_training_goes_on_to_the_same_weights(spec_of):
    whole = train_student(spec_of("whole"), "cpu")
    resumed = _stopped_and_resumed(spec_of("stopped"))
    assert without_speed(resumed.history) == without_speed(whole.history)
    assert resumed.data_version == whole.data_version


def _stopped_and_resumed(spec):
    """The result of a training that stops behind its first checkpoint, and goes on."""

    def stop(progress):
        if list(Path(spec.work).glob("runs/*/checkpoint-*/complete.json")):
            raise StoppedError

    with pytest.raises(StoppedError), listen(stop):
        train_student(spec, "cpu")
    (checkpoint,) = Path(spec.work).glob("runs/*/checkpoint-*")
    assert {"adapter_model.safetensors", "optimizer.pt"} <= {path.name for path in checkpoint.iterdir()}
    assert not (checkpoint / "model.safetensors").exists(), "a checkpoint holds no weights that are frozen"
    resumed = train_student(spec, "cpu")
    assert resumed.resumed_from_step > 0
    return resumed


def test_the_best_adapters_are_kept(spec_of):
    hurried = {"learning_rate": 0.1, "epochs": 12, "evaluations": 24, "early_stopping_patience": 2}
    spec = spec_of("out", TRAINING.model_copy(update=hurried))
    result = train_student(spec, "cpu")
    losses = [point.validation_loss for point in result.history if isinstance(point, ValidationLoss)]
    assert losses.index(min(losses)) < len(losses) - 1, "the last weights are not the best ones"
    assert result.kept == "best"
    again = spec_of(
        "again", spec.training, student_base=spec.student_base.model_copy(update={"path": f"{spec.out}/model"})
    )
    start = train_student(again.model_copy(update={"training": still(spec.training)}), "cpu")
    (first, *_) = [point.validation_loss for point in start.history if isinstance(point, ValidationLoss)]
    assert first == pytest.approx(min(losses), rel=1e-4)


def still(training):
    """A training that changes next to nothing before it validates."""
    return training.model_copy(update={"learning_rate": 1e-12, "epochs": 1, "evaluations": 1})


def test_a_fitted_teacher_can_have_adapters_too(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    fit = TrainingConfig(learning_rate=1e-2, epochs=1, max_length=64, lora={"rank": 2, "targets": ["q_proj"]})
    raw = write_rows(tmp_path / "raw.parquet", rows(32))
    spec = PrepareSpec(role="teacher", model=TINY, fit=fit, rows=[raw], out=str(out), work=str(tmp_path / "work"))
    result = prepare_model(spec, "cpu")
    assert result.fit is not None
    assert result.fit.trainable_parameters == 2 * 2 * (32 + 32)
    assert (out / "adapter" / "adapter_config.json").is_file()
    assert not [name for name, _ in open_model(out / "model", "float32").named_modules() if "lora" in name]


def test_new_adapters_follow_from_the_seed_and_leave_the_random_state_alone():
    models = [open_new() for _ in range(3)]
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    one, same, other = (attach(model, TRAINING.lora, seed) for model, seed in zip(models, (1, 1, 2), strict=True))
    assert torch.rand(1) == expected

    def first(adapted):
        return next(p for name, p in adapted.named_parameters() if "lora_A" in name)

    assert first(one).equal(first(same))
    assert not first(one).equal(first(other))


def open_new():
    return LlamaForCausalLM(LlamaConfig(**TINY.settings, vocab_size=64))


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (
            ["q_proi"],
            "does not fit this model.* use `all-linear`, or some of q_proj, k_proj, v_proj, o_proj, gate_proj",
        ),
        (["q_proj", "lm_head"], "names the embeddings or the output head"),
        (["embed_tokens"], "names the embeddings or the output head"),
        (["input_layernorm"], "does not fit this model"),
    ],
)
def test_targets_that_cannot_have_an_adapter_are_refused(targets, said):
    training = TrainingConfig(lora={"targets": targets})
    with pytest.raises(TrainingError, match=said):
        prepare_weights(open_new(), training)


def test_merging_rounds_once(tmp_path):
    """A bfloat16 model with adapters becomes the nearest bfloat16 model to their float32 sum."""
    model = open_new().to(torch.bfloat16)
    weight = model.model.layers[0].self_attn.q_proj.weight.detach().float()
    trained = prepare_weights(model, TrainingConfig(lora={"rank": 4}))
    assert trainable_count(trained) < sum(p.numel() for p in model.parameters())
    layer = model.model.layers[0].self_attn.q_proj
    for part in (layer.lora_A["default"].weight, layer.lora_B["default"].weight):
        assert part.dtype == torch.float32
        torch.nn.init.normal_(part)
    added = 8 * layer.lora_B["default"].weight.detach() @ layer.lora_A["default"].weight.detach()
    finished = finish_weights(trained, torch.bfloat16, tmp_path, ModelRef(name="new", revision="0"))
    assert finished.model.layers[0].self_attn.q_proj.weight.equal((weight + added).to(torch.bfloat16))
