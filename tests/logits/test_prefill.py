"""The second pass gives the distributions of a full forward, for any batch, slice and architecture."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from distill_dagster.config import ModelConfig
from distill_dagster.errors import ModelError
from distill_dagster.logits.distributions import LOWEST
from distill_dagster.logits.prefill import Reader, keep
from distill_dagster.logits.sequences import TokenSequence
from distill_dagster.models.loading import load
from testing.models_tiny import LLAMA, TINY, write_model

K = 8
SCALED = {  # architectures whose logits are not only their head's
    "gemma2": {**LLAMA, "head_dim": 16, "num_key_value_heads": 1, "final_logit_softcapping": 0.1},
    "cohere": {**LLAMA, "num_key_value_heads": 1, "logit_scale": 0.25},
    "granite": {**LLAMA, "num_key_value_heads": 1, "logits_scaling": 3.0},
}
PLAIN = {"gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2}, "qwen3": {**LLAMA, "num_key_value_heads": 1}}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load(write_model(tmp_path_factory.mktemp("models") / "tiny"), "cpu")


def of_architecture(folder, architecture, settings):
    return load(write_model(folder, ModelConfig(architecture=architecture, settings=settings, vocab_size=400)), "cpu")


def sequences(count, seed=0, vocab=300):
    """Sequences of many lengths; prompts of 1 to 9 tokens, answers of 1 to 20."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        start, answer = int(rng.integers(1, 10)), int(rng.integers(1, 21))
        made.append(TokenSequence((f"row-{i}", 0, 0), rng.integers(5, vocab, start + answer).tolist(), start))
    return made


def direct(loaded, sequence):
    """(T, V) float32 log-probabilities by one full forward over one row, without padding."""
    with torch.inference_mode():
        logits = loaded.model(torch.tensor([sequence.ids[:-1]])).logits[0].float()
    return torch.log_softmax(logits, -1)[sequence.answer_start - 1 :].numpy()


def assert_is_direct(given, logprobs, sequence):
    """Ids, order, values, tail and true tokens are those of the full distribution, to an fp16's last bit."""
    true = np.array(sequence.ids[sequence.answer_start :])
    assert given.ids.shape == given.logprobs.shape == (len(true), given.ids.shape[1])
    np.testing.assert_array_equal(given.token_ids, true)
    assert all(len(set(row)) == len(row) for row in given.ids)
    assert (np.diff(given.logprobs.astype(np.float32), axis=1) <= 0).all()
    own = np.take_along_axis(logprobs, given.ids.astype(np.int64), axis=1)
    np.testing.assert_allclose(given.logprobs.astype(np.float32), own, rtol=2**-10, atol=1e-6)
    k = given.ids.shape[1]
    likeliest = -np.sort(-logprobs, axis=1)[:, :k]
    np.testing.assert_allclose(given.logprobs[:, : k - 1], likeliest[:, : k - 1], rtol=2**-10, atol=1e-6)
    inside = logprobs[np.arange(len(true)), true] >= likeliest[:, -1]
    np.testing.assert_allclose(given.logprobs[inside, -1], likeliest[inside, -1], rtol=2**-10, atol=1e-6)
    tail = np.log(1 - np.exp(own.astype(np.float64)).sum(axis=1))
    np.testing.assert_allclose(given.tail_logmass, tail, rtol=2**-10, atol=1e-5)


def test_it_is_the_full_forwards_log_softmax(loaded):
    made = sequences(12)
    for sequence, given in zip(made, Reader(loaded, K).read(made), strict=True):
        assert_is_direct(given, direct(loaded, sequence), sequence)


def test_one_row_alone_is_exactly_the_direct_top_k_as_fp16(loaded):
    sequence = TokenSequence(("row", 0, 0), [7, 30, 12, 200, 41, 8, 90], 3)
    (given,) = Reader(loaded, K).read([sequence])
    values, ids = torch.tensor(direct(loaded, sequence)).topk(K, dim=-1)
    outside = given.ranks == K - 1
    assert (values[:, :-1] - values[:, 1:]).min() > 1e-5, "no two are equally likely here, so there is one order"
    np.testing.assert_array_equal(given.ids[~outside], ids.numpy()[~outside])
    np.testing.assert_array_equal(given.ids[:, :-1], ids.numpy()[:, :-1])
    np.testing.assert_array_equal(given.logprobs[:, :-1], values.half().numpy()[:, :-1])


def test_neither_batch_nor_padding_nor_slice_changes_what_is_said(loaded):
    made = sequences(20, seed=1)
    alone = [Reader(loaded, K).read([sequence])[0] for sequence in made]
    for reader, order in (
        (Reader(loaded, K), 1),
        (Reader(loaded, K), -1),
        (Reader(loaded, K, slice_elements=1), 1),
        (Reader(loaded, K, slice_elements=7 * 400), 1),
    ):
        for one, other in zip(alone, reader.read(made[::order])[::order], strict=True):
            assert (one.ids == other.ids).mean() > 0.98, "only equally likely ones may change places"
            np.testing.assert_array_equal(one.token_ids, other.token_ids)
            np.testing.assert_allclose(one.logprobs, other.logprobs, rtol=2**-10)
            np.testing.assert_allclose(one.tail_logmass, other.tail_logmass, rtol=2**-10, atol=1e-5)


@pytest.mark.parametrize("architecture", SCALED)
def test_logits_that_are_scaled_or_capped_behind_the_head_are_taken_from_the_models_own_forward(tmp_path, architecture):
    scaled = of_architecture(tmp_path / architecture, architecture, SCALED[architecture])
    made, reader = sequences(5, seed=2), Reader(scaled, K, slice_elements=6 * 400)
    assert not reader.head_apart
    for sequence, given in zip(made, reader.read(made), strict=True):
        assert_is_direct(given, direct(scaled, sequence), sequence)


@pytest.mark.parametrize("architecture", PLAIN)
def test_other_architectures_go_through_body_and_head(tmp_path, architecture):
    plain = of_architecture(tmp_path / architecture, architecture, PLAIN[architecture])
    made, reader = sequences(5, seed=4), Reader(plain, K)
    assert reader.head_apart
    for sequence, given in zip(made, reader.read(made), strict=True):
        assert_is_direct(given, direct(plain, sequence), sequence)


class Largest(TorchDispatchMode):
    """Records the number of elements of the largest float32 tensor that is as wide as the vocabulary."""

    def __init__(self, vocab_size):
        super().__init__()
        self.vocab_size, self.elements = vocab_size, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor) and tensor.dim() and tensor.shape[-1] == self.vocab_size:
                self.elements = max(self.elements, tensor.numel())
        return out


@pytest.mark.parametrize("architecture", ["llama", "gemma2"])
def test_logits_are_never_there_for_a_whole_batch(tmp_path, architecture):
    settings = SCALED.get(architecture, {**LLAMA, "max_position_embeddings": 128})
    model = of_architecture(tmp_path / "m", architecture, settings)
    made, reader = sequences(30, seed=5), Reader(model, K, slice_elements=6 * 400)
    with torch.inference_mode(), Largest(reader.vocab_size) as largest:
        reader.read(made)
    assert sum(sequence.answer_tokens for sequence in made) > 100
    assert 0 < largest.elements <= 6 * reader.vocab_size


def test_a_true_token_outside_the_likeliest_takes_the_last_place():
    logits = torch.tensor([[5.0, 4.0, 3.0, 2.0, 1.0, 0.0]] * 3)
    expected = torch.log_softmax(logits, -1)[0]
    ids, logprobs, tail, ranks, _ = keep(logits, torch.tensor([5, 1, 2]), 3)
    assert ids.tolist() == [[0, 1, 5], [0, 1, 2], [0, 1, 2]]
    assert ranks.tolist() == [2, 1, 2]
    assert logprobs[0].tolist() == expected[[0, 1, 5]].half().tolist()
    assert tail[0].item() == pytest.approx(expected[[2, 3, 4]].logsumexp(0).item(), rel=2**-10)
    assert tail[1].item() == pytest.approx(expected[[3, 4, 5]].logsumexp(0).item(), rel=2**-10)


def test_what_is_below_fp16_and_an_empty_tail_are_its_lowest_number():
    logits = torch.tensor([[0.0, float("-inf"), -1e9]])
    ids, logprobs, tail, ranks, _ = keep(logits, torch.tensor([1]), 3)
    assert logprobs.tolist() == [[0.0, LOWEST, LOWEST]]
    assert tail.tolist() == [LOWEST]
    assert ids[0, ranks[0]] == 1


def test_the_tail_of_a_sure_model_keeps_its_size():
    logits = torch.zeros(1, 1000)
    logits[0, 7] = 30.0  # 1 - p of the rest is 0 in float32; their sum is not
    _, _, tail, *_ = keep(logits, torch.tensor([7]), 2)
    assert tail.item() == pytest.approx(np.log(998) - 30, rel=1e-3)


def test_a_k_above_the_vocabulary_is_refused(loaded):
    with pytest.raises(ModelError, match=r"401.*356 tokens"):
        Reader(loaded, 401)


def test_a_model_that_says_nan_is_an_error(tmp_path):
    broken = load(write_model(tmp_path / "broken", TINY), "cpu")
    with torch.no_grad():
        broken.model.lm_head.weight[7] = float("nan")
    with pytest.raises(ModelError, match="NaN"):
        Reader(broken, K).read(sequences(2))


@pytest.mark.parametrize("spread", [1.0, 30.0, 200.0])
def test_the_tails_sums_at_other_temperatures_are_those_of_the_dense_softmax(spread):
    logits = spread * torch.randn(6, 300, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ids, _, _, _, sums = keep(logits.float(), torch.zeros(6, dtype=torch.int64), 5)
    rest = logits.log_softmax(-1).scatter(1, ids.long(), float("-inf"))
    for column, temperature in enumerate((2, 4)):
        expected = (rest / temperature).logsumexp(-1)
        np.testing.assert_allclose(sums[:, column], expected, rtol=2**-10, atol=2e-3)


def test_draws_are_from_the_tail_in_proportion_and_their_number_follows_its_mass():
    """10,000 positions of one distribution: the target's mean is p, and so is the mean of its gradient q - target."""
    positions, vocab, k = 10_000, 700, 4
    logits = 2 * torch.randn(vocab, generator=torch.Generator().manual_seed(2))
    p = logits.softmax(-1)
    uniforms = torch.rand(positions, 50, generator=torch.Generator().manual_seed(3))
    ids, logprobs, tail, _, draws = keep(
        logits.repeat(positions, 1), logits.topk(1).indices.expand(positions), k, uniforms
    )
    mass, drawn = tail[0].float().exp(), draws >= 0
    assert drawn.sum(dim=1).unique().tolist() == [int(np.ceil(50 * mass.item()))]
    assert not (draws[..., None] == ids[:, None]).any(), "what is stored by itself is not drawn"
    target = torch.zeros(vocab).index_add_(0, ids[0].long(), logprobs[0].float().exp())
    counts = torch.bincount(draws[drawn].long(), minlength=vocab).float()
    target += mass * counts / drawn.sum()
    error = (p * (1 - p) * mass / drawn.sum()).sqrt()  # of a share of so many draws
    assert ((target - p).abs() < 5 * error + 1e-3 * p).all()


def test_a_rows_draws_depend_on_its_key_and_not_on_its_batch(loaded):
    made = sequences(8, seed=6)
    together = Reader(loaded, K, "sampled").read(made)
    for sequence, given in zip(made, together, strict=True):
        (alone,) = Reader(loaded, K, "sampled", slice_elements=3 * 400).read([sequence])
        width = min(alone.draws.shape[1], given.draws.shape[1])
        np.testing.assert_array_equal(alone.draws[:, :width], given.draws[:, :width])
        assert (alone.draws[:, width:] == -1).all()
        assert (given.draws[:, width:] == -1).all()
