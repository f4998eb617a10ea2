"""The two training steps that the benchmarks compare minimize the same loss, and move the student alike."""

import dataclasses

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks._online import Rollouts, our_step, trl_step
from distill_dagster.logits.distributions import Distributions
from distill_dagster.logits.prefill import keep

VOCABULARY, ROWS, PROMPT, ANSWER = 70, 3, 4, 6


def llama(seed: int) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    ends = {"bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0}
    return LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, initializer_range=0.5, **shape, **ends))


def captured(teacher: LlamaForCausalLM) -> Rollouts:
    """Answers whose distributions are the teacher's, with every token stored."""
    rollouts = Rollouts.drawn(ROWS, PROMPT, ANSWER, VOCABULARY)
    tokens = torch.randint(2, VOCABULARY, (ROWS, ANSWER), generator=torch.Generator().manual_seed(0))
    ids = torch.cat([torch.tensor([rollouts.prompt] * ROWS), tokens], dim=1)
    with torch.inference_mode():
        logits = teacher(ids).logits[:, PROMPT - 1 : -1]
        kept = [keep(logits[row].clone(), tokens[row], VOCABULARY) for row in range(ROWS)]
    return dataclasses.replace(rollouts, answers=[Distributions(*(part.numpy() for part in row)) for row in kept])


@pytest.mark.xdist_group("trl")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_with_every_token_stored_both_steps_have_the_same_loss_and_the_same_update(tmp_path):
    teacher, ours, theirs = llama(0), llama(1), llama(1)
    before = [parameter.detach().clone() for parameter in ours.parameters()]
    rollouts = captured(teacher.eval())
    signal = rollouts.signal(tmp_path)
    our = our_step(ours, signal, lambda: signal.collate(rollouts.examples), "cpu")
    trl = trl_step(theirs, teacher, rollouts, tmp_path, "cpu")
    for _ in range(3):
        loss = our()
        assert loss > 0.1
        assert loss == pytest.approx(trl(), rel=2e-3)  # what is stored is fp16
    for start, mine, other in zip(before, ours.parameters(), theirs.parameters(), strict=True):
        moved, expected = (mine - start).flatten(), (other - start).flatten()
        assert torch.cosine_similarity(moved, expected, dim=0) > 0.99
