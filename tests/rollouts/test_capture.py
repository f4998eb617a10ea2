"""What is stored of a rollout is the teacher's distribution on the very tokens that the student sampled."""

import numpy as np
import pytest
import torch

from distill_dagster.errors import ModelError
from distill_dagster.models.tokenizer import open_tokenizer
from distill_dagster.store import files, parquet, schemas
from testing.models_tiny import TINY, write_model
from testing.rollouts_tiny import Pair


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Pair:
    return Pair.new(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def sampled(pair):
    return pair.sample()


def dense(model, row) -> np.ndarray:
    """(T, V) log-probabilities of each token of a rollout, by one forward over this row alone, in float64."""
    ids, start = torch.tensor([[*row["prompt_ids"], *row["token_ids"]]]), len(row["prompt_ids"])
    with torch.no_grad():
        return model(ids).logits[0, start - 1 : -1].double().log_softmax(-1).numpy()


def test_it_is_the_teachers_distribution_on_the_students_tokens(pair, sampled):
    result, rows = pair.capture()
    teacher = pair.model("teacher")
    assert (result.counts.captured, result.counts.rejected) == (12, 0)
    for row in sampled[1]:
        given, expected = rows[row["row_id"], row["sample"], row["turn"]], dense(teacher, row)
        assert given.token_ids.tolist() == row["token_ids"]
        own = np.take_along_axis(expected, given.ids.astype(np.int64), axis=1)
        np.testing.assert_allclose(given.logprobs, own, rtol=2**-10, atol=1e-5)
        np.testing.assert_allclose(np.exp(given.tail_logmass), 1 - np.exp(own).sum(axis=1), rtol=2e-3, atol=1e-5)


def test_with_the_students_tokens_both_top_k_are_stored(pair, sampled):
    k = 8
    result, rows = pair.capture(k=k, united=True)
    assert result.k == 2 * k
    teacher, student = pair.model("teacher"), pair.model("student")
    for row in sampled[1]:
        given = rows[row["row_id"], row["sample"], row["turn"]]
        p, q = dense(teacher, row), dense(student, row)
        own = np.take_along_axis(p, given.ids.astype(np.int64), axis=1)
        np.testing.assert_allclose(given.logprobs, own, rtol=2**-10, atol=1e-5)
        np.testing.assert_allclose(np.exp(given.tail_logmass), 1 - np.exp(own).sum(axis=1), rtol=2e-3, atol=1e-5)
        assert given.token_ids.tolist() == row["token_ids"]
        for t, stored in enumerate(given.ids):
            assert len(set(stored)) == 2 * k
            assert set(np.argsort(-p[t])[: k - 1]) <= set(stored)
            assert set(np.argsort(-q[t])[: k - 1]) <= set(stored)  # the k-th may give way to the token sampled


def test_more_tokens_than_there_are_store_all_of_them(pair, sampled):
    size = pair.model("teacher").get_output_embeddings().weight.shape[0]
    result, rows = pair.capture(k=size - 3, united=True)
    assert result.k == size
    assert all(sorted(row.ids[0]) == list(range(size)) for row in rows.values())


def test_the_students_tokenizer_must_tokenize_as_the_teachers(pair, sampled, tmp_path):
    """Its files may differ, and a token of its own alone is unknown to the teacher."""
    other = write_model(tmp_path / "other", TINY.model_copy(update={"vocab_size": 330}))
    with pytest.raises(ModelError, match="to the teacher's tokenizer and"):
        pair.capture(sampled_by=other)
    own = open_tokenizer(pair.root / "student")
    own.add_tokens(["<tool>"], special_tokens=True)
    own.save_pretrained(tmp_path / "own")
    captured, _ = pair.capture(sampled_by=pair.student.model_copy(update={"path": str(tmp_path / "own")}))
    assert (captured.counts.captured, captured.errors) == (12, {})


def test_a_token_that_the_teacher_lacks_is_rejected(tmp_path):
    own = Pair.new(tmp_path)
    _, table = own.sample()
    table[3]["token_ids"] = [*table[3]["token_ids"], 100_000]
    parquet.write_table(own.root / "rollouts" / files.ROLLOUTS_FILE, table, schemas.ROLLOUT)
    captured, _ = own.capture()
    assert (captured.counts.captured, captured.counts.rejected, captured.errors) == (11, 1, {"unknown_token": 1})
    (reject,) = parquet.read_table(own.root / "logits" / files.REJECTS_FILE)
    assert (reject["stage"], reject["row_id"]) == ("rollout_logits_1", table[3]["row_id"])
