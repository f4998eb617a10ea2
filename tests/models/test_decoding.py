"""Answers come in the order of the prompts, in any batches, with their token counts and the reason why they stopped."""

import pytest

from distill_dagster.models.decoding import complete, cut_batches
from distill_dagster.models.loading import load
from testing.models_tiny import rows, write_model


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load(write_model(tmp_path_factory.mktemp("models") / "tiny"), "cpu")


def prompts(count):
    made = [row["messages"] for row in rows(count)]
    for i, messages in enumerate(made):  # of many lengths
        messages[0]["content"] += " word" * (i % 7)
    return made


def test_batches_hold_the_budget_and_every_row_once():
    lengths = {i: n for i, n in enumerate([30, 31, 33, 400, 2])}
    batches = list(cut_batches(lengths, max_new_tokens=64, batch_tokens=400))
    assert batches == [[3], [2, 1, 0, 4]]
    assert list(cut_batches(lengths, max_new_tokens=64, batch_tokens=1)) == [[3], [2], [1], [0], [4]]
    assert list(cut_batches({}, 64, 400)) == []


def test_an_answer_does_not_depend_on_its_batch(loaded):
    asked = prompts(20)
    one_by_one = [complete(loaded, [p], max_new_tokens=8, batch_tokens=64)[0].text for p in asked]
    assert [c.text for c in complete(loaded, asked, max_new_tokens=8, batch_tokens=500)] == one_by_one
    assert [c.text for c in complete(loaded, asked[::-1], max_new_tokens=8, batch_tokens=10_000)] == one_by_one[::-1]
    assert len(set(one_by_one)) > 1


def test_an_answer_is_what_a_plain_loop_over_the_likeliest_token_gives(loaded):
    import torch

    from distill_dagster.models.rendering import encode, render_prompt

    messages = prompts(4)[3]
    ids = encode(loaded.tokenizer, render_prompt(loaded.tokenizer, messages))
    prompt_tokens, answer = len(ids), []
    with torch.no_grad():
        for _ in range(8):
            answer.append(int(loaded.model(torch.tensor([ids + answer])).logits[0, -1].argmax()))
    completion = complete(loaded, [messages], max_new_tokens=8, batch_tokens=64)[0]
    assert completion.text == loaded.tokenizer.decode(answer, skip_special_tokens=True)
    assert (completion.prompt_tokens, completion.completion_tokens) == (prompt_tokens, 8)
    assert completion.finish_reason == "length"


def test_an_end_token_stops_and_is_counted(loaded):
    import torch

    from distill_dagster.models.rendering import encode, render_prompt

    messages = prompts(1)[0]
    plain = complete(loaded, [messages], max_new_tokens=4, batch_tokens=64)[0]
    ids = encode(loaded.tokenizer, render_prompt(loaded.tokenizer, messages))
    with torch.no_grad():
        first = int(loaded.model(torch.tensor([ids])).logits[0, -1].argmax())
    loaded.model.generation_config.eos_token_id = [1, first]  # the token that it says first
    try:
        stopped = complete(loaded, [messages], max_new_tokens=4, batch_tokens=64)[0]
    finally:
        loaded.model.generation_config.eos_token_id = 1
    assert (stopped.text, stopped.finish_reason, stopped.completion_tokens) == ("", "stop", 1)
    assert plain.finish_reason == "length"


def test_a_prompt_without_room_for_its_answer_is_an_error_and_the_others_are_answered(loaded):
    asked = prompts(3)
    asked[1] = [{"role": "user", "content": "long " * 200}]
    seen = []
    completions = complete(loaded, asked, max_new_tokens=8, batch_tokens=500, advance=seen.append)
    assert [c.error_code for c in completions] == [None, "E010", None]
    assert completions[1].finish_reason == "error"
    assert completions[1].prompt_tokens > 128
    assert sum(seen) == 3


def test_a_prompt_that_the_template_refuses_is_an_error(loaded):
    template = loaded.tokenizer.chat_template
    loaded.tokenizer.chat_template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}" + template
    )
    try:
        asked = [[{"role": "system", "content": "S"}, *prompts(1)[0]], prompts(1)[0]]
        completions = complete(loaded, asked, max_new_tokens=4, batch_tokens=500)
    finally:
        loaded.tokenizer.chat_template = template
    assert [c.error_code for c in completions] == ["E015", None]


def test_sampling_follows_its_seed_and_leaves_the_global_state_alone(loaded):
    import torch

    def sample(seed, asked=None):
        asked = asked or prompts(6)
        made = complete(loaded, asked, max_new_tokens=8, batch_tokens=200, temperature=1.0, top_p=0.9, seed=seed)
        return [c.text for c in made]

    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert sample(0) == sample(0)
    assert torch.equal(torch.rand(1), expected)
    assert sample(0) != sample(1)
    twins = sample(0, [prompts(1)[0]] * 4)  # equal prompts draw their own
    assert len(set(twins)) > 1


def test_equal_prompts_in_different_batches_draw_their_own(loaded):
    sampled = {"max_new_tokens": 16, "batch_tokens": 1, "temperature": 1.5, "seed": 0}  # batches of one
    texts = [c.text for c in complete(loaded, [prompts(1)[0]] * 4, **sampled)]
    assert len(set(texts)) == 4
