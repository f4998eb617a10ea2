"""A student that is cut out of its teacher: its layers and neurons, and which of them."""

from functools import partial
from pathlib import Path

import pytest
import torch

from distill_dagster.config import ModelConfig, StudentInitConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.building import parameter_count
from distill_dagster.models.layers import layers_of
from distill_dagster.models.loading import open_model
from distill_dagster.models.pinning import pin_folder
from distill_dagster.store import files
from distill_dagster.training.cut import choose, cut
from distill_dagster.training.cutting import most_influential, spaced
from distill_dagster.training.measured import Measured
from distill_dagster.training.prepare import prepare_model
from distill_dagster.training.specs import PrepareResult, PrepareSpec
from testing.models_tiny import LLAMA, rows, write_model, write_rows

DEEP = {**LLAMA, "num_hidden_layers": 6, "max_position_embeddings": 128}
SHAPES = {
    "llama": {**DEEP, "tie_word_embeddings": True},
    "qwen2": {
        **DEEP,
        "num_key_value_heads": 1,
        "use_sliding_window": True,
        "max_window_layers": 2,
        "sliding_window": 4,
    },
    "gpt2": {"n_embd": 32, "n_layer": 6, "n_head": 2, "n_positions": 128},
    "phi3": {**DEEP, "num_key_value_heads": 1},
}
IDS = torch.arange(5, 25)[None]


def teacher_in(folder: Path, architecture: str = "llama"):
    """(ref, model) of six layers."""
    config = ModelConfig(architecture=architecture, settings=SHAPES[architecture], vocab_size=400)
    ref = write_model(folder / "teacher", config)
    return ref, open_model(folder / "teacher", "float32").eval()


@pytest.fixture
def made(tmp_path):
    """Cut a student out of a teacher by the worker; returns (result, model)."""
    (tmp_path / "out").mkdir()
    raw = write_rows(tmp_path / files.RAW_FILE, [*rows(12), *rows(3, "validation")])

    def make(ref, **init) -> tuple[PrepareResult, torch.nn.Module]:
        spec = {"init": StudentInitConfig(**init), "cut_from": ref, "rows": [raw]}
        out = {"out": str(tmp_path / "out"), "work": str(tmp_path)}
        sent = PrepareSpec(role="student", **spec, **out).model_dump_json()  # as a subprocess gets it
        result = prepare_model(PrepareSpec.model_validate_json(sent), "cpu")
        return result, open_model(tmp_path / "out" / "model", "float32").eval()

    return make


@pytest.mark.parametrize("architecture", SHAPES)
@pytest.mark.parametrize("init", [{}, {"choose": "block_influence", "feed_forward": 64}], ids=["spaced", "measured"])
def test_all_layers_and_all_neurons_are_the_teacher_to_the_bit(tmp_path, made, architecture, init):
    ref, teacher = teacher_in(tmp_path, architecture)
    neurons = {"feed_forward": 128} if architecture == "gpt2" and init else {}
    result, student = made(ref, layers=6, **{**init, **neurons})
    assert torch.equal(student(IDS).logits, teacher(IDS).logits)
    assert result.cut.layers == [1, 2, 3, 4, 5, 6]
    assert result.counts.parameters == ref.parameters


@pytest.mark.parametrize("architecture", SHAPES)
def test_the_chosen_layers_compute_what_they_did(tmp_path, made, architecture):
    """Against the teacher's own modules in a row; Qwen's layers keep their kind of attention."""
    ref, teacher = teacher_in(tmp_path, architecture)
    result, student = made(ref, layers=3)
    assert result.cut.layers == [1, 4, 6] == spaced(3, 6)
    layers = layers_of(teacher)
    kept = torch.nn.ModuleList([layers[i - 1] for i in (1, 4, 6)])
    (name,) = [n for n, module in teacher.named_modules() if module is layers]
    parent, _, own = name.rpartition(".")
    setattr(teacher.get_submodule(parent), own, kept)
    for config in {id(c): c for c in (teacher.config, teacher.get_decoder().config)}.values():
        if getattr(config, "layer_types", None):
            config.layer_types = [config.layer_types[i - 1] for i in (1, 4, 6)]
        config.num_hidden_layers = 3
    assert torch.equal(student(IDS).logits, teacher(IDS, use_cache=False).logits)


def test_the_layer_that_does_nothing_is_spared(tmp_path, made):
    """The third layer is made an identity: its output matrices are 0, so that only the residual is left."""
    _, teacher = teacher_in(tmp_path)
    layer = layers_of(teacher)[2]
    with torch.no_grad():
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    teacher.save_pretrained(tmp_path / "teacher")
    result, student = made(pin_folder(tmp_path / "teacher", name="teacher"), layers=5, choose="block_influence")
    assert result.cut.layers == [1, 2, 4, 5, 6]
    assert result.cut.influence[2] == pytest.approx(0, abs=1e-6)
    assert min(x for i, x in enumerate(result.cut.influence) if i != 2) > 1e-3
    torch.testing.assert_close(student(IDS).logits, teacher(IDS).logits, rtol=0, atol=1e-6)
    assert result.counts.model_dump()["measured_prompts"] == 12  # those for validation are not read


def both_ends(seen, _, args, kwargs, output):
    seen.append((args[0] if args else kwargs["hidden_states"], output))


def test_block_influence_is_one_minus_the_mean_cosine_of_real_tokens(tmp_path):
    _, teacher = teacher_in(tmp_path)
    measured, prompts = Measured(teacher), [[5, 6, 7, 8, 9], [10, 11]]
    measured.read(prompts, "cpu", pad=0)
    cosines = [[] for _ in range(6)]
    for ids in prompts:
        inputs, handles = [], []
        for layer in layers_of(teacher):
            keep = partial(both_ends, inputs)
            handles.append(layer.register_forward_hook(keep, with_kwargs=True))
        teacher(torch.tensor([ids]))
        for handle in handles:
            handle.remove()
        for i, (before, after) in enumerate(inputs):
            a, b = before[0].detach().double(), after[0].detach().double()
            cosines[i] += ((a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))).tolist()
    assert measured.influence == pytest.approx([1 - sum(found) / 7 for found in cosines], abs=1e-6)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "phi3"])
def test_the_neurons_that_are_never_active_are_cut(tmp_path, architecture):
    """A third of each layer's neurons write nothing; without them the model is the same."""
    _, teacher = teacher_in(tmp_path, architecture)
    width = 128 if architecture == "gpt2" else 64
    dead = torch.arange(width) % 3 == 1
    with torch.no_grad():
        for layer in layers_of(teacher):
            if architecture == "gpt2":
                layer.mlp.c_fc.weight[:, dead] = 0
                layer.mlp.c_fc.bias[dead] = 0
            else:
                up = layer.mlp.up_proj.weight if architecture == "llama" else layer.mlp.gate_up_proj.weight[width:]
                up[dead] = 0
    before = teacher(IDS).logits
    kept = int((~dead).sum())
    init, measured = StudentInitConfig(layers=6, feed_forward=kept), Measured(teacher)
    measured.read([IDS[0].tolist()], "cpu", pad=0)
    assert measured.neurons(2, kept).tolist() == (~dead).nonzero()[:, 0].tolist()
    student = cut(teacher, init, choose(init, measured), measured).eval()
    torch.testing.assert_close(student(IDS).logits, before, rtol=0, atol=1e-5)
    whole = open_model(tmp_path / "teacher", "float32")
    assert parameter_count(student) < parameter_count(whole)


def test_layers_are_spaced_from_the_first_to_the_last():
    assert spaced(4, 12) == [1, 5, 8, 12]
    for layers in range(2, 30):
        for count in range(2, layers + 1):
            found = spaced(count, layers)
            assert found == sorted(set(found))
            assert (len(found), found[0], found[-1]) == (count, 1, layers)


def test_the_first_and_the_last_are_kept_and_of_equal_ones_the_earlier():
    assert most_influential(4, [0.0, 0.1, 0.3, 0.1, 0.2, 0.0]) == [1, 3, 5, 6]
    assert most_influential(3, [0.0, 0.1, 0.1, 0.0]) == [1, 2, 4]


@pytest.mark.parametrize(
    ("init", "said"),
    [
        ({"layers": 7}, "`student.init.layers` is 7, and the teacher has 6 layers"),
        ({"layers": 3, "feed_forward": 65}, "`student.init.feed_forward` is 65, and .* have 64 neurons"),
    ],
)
def test_more_than_the_teacher_has_is_refused(tmp_path, made, init, said):
    ref, _ = teacher_in(tmp_path)
    with pytest.raises(ModelError, match=said):
        made(ref, **init)
    assert not list((tmp_path / "out").iterdir())


def test_layers_that_differ_by_their_place_are_refused(tmp_path, made):
    """The first layer of this mixture of experts is dense, and the others are not; its neurons are not cut either."""
    shape = {**DEEP, "moe_intermediate_size": 16, "n_routed_experts": 4, "n_group": 1, "topk_group": 1}
    moe = {**shape, "num_experts_per_tok": 2, "first_k_dense_replace": 2, "kv_lora_rank": 8, "q_lora_rank": 8}
    heads = {"qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8}
    config = ModelConfig(architecture="deepseek_v3", settings={**moe, **heads}, vocab_size=400)
    ref = write_model(tmp_path / "teacher", config)
    with pytest.raises(ModelError, match="differ by their place"):
        made(ref, layers=3)
    with pytest.raises(ModelError, match=r"cannot be cut: remove `student\.init\.feed_forward`"):
        made(ref, layers=6, feed_forward=8)
