"""Every answer of a shard has its logits or a reject, and a shard's distributions are those of its own text."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from distill_dagster.config import GenerationConfig, SmokeConfig
from distill_dagster.errors import DataError
from distill_dagster.generation.shard import generate_shard
from distill_dagster.generation.specs import GenerateSpec
from distill_dagster.logits import shard as shard_module
from distill_dagster.logits.specs import CaptureSpec
from distill_dagster.logits.tokenizer import tokenizer_hash
from distill_dagster.models.loading import load, open_tokenizer
from distill_dagster.models.rendering import encode, render_prompt
from distill_dagster.progress import listen
from distill_dagster.store import files, parquet
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.workers import WORKERS
from testing.logits_tiny import capture, teacher_row
from testing.models_tiny import raw_row, rows, write_model, write_rows


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("teacher") / "tiny")


def conversation(row_id, *asked):
    turns = [m for text in asked for m in ({"role": "user", "content": text}, {"role": "assistant", "content": "-"})]
    return raw_row(row_id, turns, [], task="conversation")


def generated(folder, teacher, raw, **settings):
    """The path of a teacher.parquet with the teacher's real answers."""
    generation = GenerationConfig(**{"max_new_tokens": 6, "batch_tokens": 512, **settings})
    spec = GenerateSpec(
        faculty=Faculty(teachers=[(1.0, teacher)]),
        generation=generation,
        smoke=SmokeConfig(rows=0),
        rows=write_rows(folder / files.RAW_FILE, raw),
        responses=str(folder / "responses"),
        journal="shard",
        out=str(folder),
    )
    generate_shard(spec, "cpu")
    return folder / files.TEACHER_FILE


def test_every_answer_is_captured_or_rejected_and_counts_add_up(tmp_path, teacher):
    raw = [
        *rows(12),
        conversation("c", "Hello door", "And the red cup?"),
        conversation("d", "Hi", "long " * 200, "Bye"),
    ]
    answers = generated(tmp_path, teacher, raw, temperature=1.0, samples=2)
    produced, found, rejects = capture(tmp_path, teacher, raw, answers)
    asked = parquet.read_table(answers)
    ok = {(row["row_id"], row["sample"], row["turn"]): row for row in asked if row["status"] == "ok"}
    counts = produced.counts
    assert counts.requests == len(asked) == counts.not_learned + counts.captured + counts.rejected
    assert (counts.not_learned, counts.captured) == (4, len(found))
    assert len(rejects) == counts.rejected == sum(produced.errors.values())
    assert found.keys() <= ok.keys()
    assert len(found) + len(rejects) == len(ok)
    tokenizer = load(teacher, "cpu").tokenizer
    for key, row in found.items():
        text = tokenizer.decode(row.token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert text == ok[key]["raw_text"]
        assert row.temperature == 1.0
    assert produced.tokens == sum(len(row.token_ids) for row in found.values())


def test_the_distributions_are_those_of_the_prompt_that_was_asked(tmp_path, teacher):
    raw = [conversation("c", "Hello door", "And the red cup?"), *rows(2)]
    replies = {("c", 0, 0): "blue", ("c", 0, 1): "The lamp", ("train-0", 0, 0): "red", ("train-1", 0, 0): "green"}
    answers = [teacher_row(teacher, row_id, text, turn=turn) for (row_id, _, turn), text in replies.items()]
    _, found, rejects = capture(tmp_path, teacher, raw, answers)
    assert rejects == []
    loaded = load(teacher, "cpu")
    prompts = {(row["row_id"], 0, 0): row["messages"][:1] for row in raw}
    prompts["c", 0, 1] = [
        {"role": "user", "content": "Hello door"},
        {"role": "assistant", "content": "blue"},
        {"role": "user", "content": "And the red cup?"},
    ]
    for key, messages in prompts.items():
        prompt = encode(loaded.tokenizer, render_prompt(loaded.tokenizer, messages))
        answer = [*encode(loaded.tokenizer, replies[key]), 1]
        with torch.inference_mode():
            logits = loaded.model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1].float()
        logprobs = torch.log_softmax(logits, -1)
        row = found[key]
        assert row.token_ids.tolist() == answer
        own = logprobs.gather(1, torch.tensor(row.ids).long()).numpy()
        np.testing.assert_allclose(own[:, :7], logprobs.topk(7, -1).values, rtol=1e-5)  # equal ones may change places
        np.testing.assert_allclose(row.logprobs, own, rtol=2**-10)
        mass = np.exp(row.logprobs).sum(axis=1) + np.exp(row.tail_logmass)
        np.testing.assert_allclose(mass, 1, atol=2e-3)


def test_an_answer_that_was_cut_off_keeps_its_tokens_without_an_end(tmp_path, teacher):
    raw, texts = rows(2), ("The door", "The door")
    answers = [
        teacher_row(teacher, row["row_id"], text, finish_reason=reason)
        for row, text, reason in zip(raw, texts, ("length", "stop"), strict=True)
    ]
    _, found, _ = capture(tmp_path, teacher, raw, answers)
    cut, whole = (found[row["row_id"], 0, 0].token_ids.tolist() for row in raw)
    assert whole == [*cut, 1]


def test_a_refused_answer_leaves_the_others_where_they_are(tmp_path, teacher):
    raw = rows(5)
    texts = ["red", "green<|pad|>", "blue", "", "red"]
    reasons = ["stop", "stop", "stop", "length", "stop"]
    answers = [
        teacher_row(teacher, row["row_id"], text, finish_reason=reason)
        for row, text, reason in zip(raw, texts, reasons, strict=True)
    ]
    produced, found, rejects = capture(tmp_path, teacher, raw, answers)
    assert [row_id for row_id, _, _ in found] == ["train-0", "train-2", "train-4"]
    assert [(r["row_id"], r["code"], r["stage"], r["shard"]) for r in rejects] == [
        ("train-1", "text_changed", "teacher_logits", "train"),
        ("train-3", "empty_answer", "teacher_logits", "train"),
    ]
    assert produced.errors == {"empty_answer": 1, "text_changed": 1}
    _, alone, _ = capture(tmp_path, teacher, raw[4:], answers[4:])
    one, other = found["train-4", 0, 0], alone["train-4", 0, 0]
    assert one.token_ids.tolist() == other.token_ids.tolist()
    np.testing.assert_allclose(one.logprobs, other.logprobs, rtol=2**-10)


def test_windows_are_row_groups_and_change_nothing(tmp_path, teacher, monkeypatch):
    raw = rows(20)
    answers = [teacher_row(teacher, row["row_id"], row["reference"][0] * (1 + i % 3)) for i, row in enumerate(raw)]
    one, whole, _ = capture(tmp_path, teacher, raw, answers)
    monkeypatch.setattr(shard_module, "WINDOW_TOKENS", 60)
    many, parts, _ = capture(tmp_path, teacher, raw, answers)
    assert pq.ParquetFile(tmp_path / files.LOGITS_FILE).num_row_groups > 4
    assert list(parts) == list(whole) == [(row["row_id"], 0, 0) for row in raw]
    assert one.counts == many.counts
    for key in whole:
        np.testing.assert_allclose(parts[key].logprobs, whole[key].logprobs, rtol=2**-10)
        np.testing.assert_array_equal(parts[key].token_ids, whole[key].token_ids)


def test_the_data_version_follows_the_content(tmp_path, teacher):
    raw = rows(3)
    answers = [teacher_row(teacher, row["row_id"], "red") for row in raw]
    first, again = (capture(tmp_path, teacher, raw, answers)[0].data_version for _ in range(2))
    assert first == again
    answers[2]["raw_text"] = "blue"
    assert capture(tmp_path, teacher, raw, answers)[0].data_version != first
    assert capture(tmp_path, teacher, raw, answers[:2])[0].data_version != first


def test_compact_is_close(tmp_path, teacher):
    raw = rows(8)
    answers = [teacher_row(teacher, row["row_id"], "The red door") for row in raw]
    _, exact, _ = capture(tmp_path, teacher, raw, answers, k=64)
    _, close, _ = capture(tmp_path, teacher, raw, answers, k=64, precision="compact")
    for key, row in exact.items():
        bound = (row.logprobs[:, :1] - row.logprobs[:, -1:]) / 255 + 1e-5
        assert (np.abs(close[key].logprobs - row.logprobs) <= bound).all()
        assert not np.array_equal(close[key].logprobs, row.logprobs)


def test_answers_of_an_earlier_teacher_are_an_error(tmp_path, teacher):
    raw = rows(2)
    answers = [teacher_row(teacher, row["row_id"], "red", teacher_revision="older") for row in raw]
    with pytest.raises(DataError, match=r"all 2 answers: answered by tiny older.*materialize teacher_outputs again"):
        capture(tmp_path, teacher, raw, answers)


def test_a_torn_teacher_table_is_named(tmp_path, teacher):
    path = tmp_path / "teacher.parquet"
    path.write_bytes(b"PAR1 torn")
    with pytest.raises(DataError, match=r"teacher\.parquet cannot be read as parquet"):
        capture(tmp_path, teacher, rows(1), path)


def test_an_empty_shard_is_an_empty_table(tmp_path, teacher):
    produced, found, rejects = capture(tmp_path, teacher, [], [])
    assert (found, rejects) == ({}, [])
    assert produced.counts.model_dump() == {"requests": 0, "not_learned": 0, "captured": 0, "rejected": 0}


def test_progress_counts_every_answer(tmp_path, teacher):
    raw, heard = rows(3), []
    answers = [
        teacher_row(teacher, row["row_id"], text) for row, text in zip(raw, ("red", "<|end|>", "blue"), strict=True)
    ]
    with listen(lambda progress: heard.append((progress.done, progress.total))):
        capture(tmp_path, teacher, raw, answers)
    assert heard[-1] == (3, 3)


def test_a_tokenizers_hash_is_that_of_its_contents(tmp_path, teacher):
    one = open_tokenizer(Path(teacher.path))
    one.save_pretrained(tmp_path / "copy")
    other = open_tokenizer(tmp_path / "copy")
    other(["a", "a longer text"], padding=True)  # leaves its padding in the backend
    assert tokenizer_hash(one) == tokenizer_hash(other)
    other.add_special_tokens({"additional_special_tokens": ["<|tool|>"]})
    assert tokenizer_hash(one) != tokenizer_hash(other)
    document = json.loads((tmp_path / "copy" / "tokenizer.json").read_text())
    document["model"]["merges"].pop()
    (tmp_path / "copy" / "tokenizer.json").write_text(json.dumps(document))
    assert tokenizer_hash(one) != tokenizer_hash(open_tokenizer(tmp_path / "copy"))


def test_the_worker_is_listed_with_its_spec():
    worker = WORKERS["capture_logits"]
    assert worker.spec is CaptureSpec
    assert worker.load() is shard_module.capture_logits
