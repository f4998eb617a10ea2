"""The worker that makes the set: from the shards' files to two tables and a result that a manifest gives back."""

import re
from pathlib import Path

import pytest

from distill_dagster.config import QualityConfig
from distill_dagster.errors import DataError
from distill_dagster.quality.specs import SetResult, SetSpec
from distill_dagster.quality.synthetic_set import build_set
from distill_dagster.store import files, hashing, parquet, schemas
from distill_dagster.store.artefacts import Store
from testing.set_rows import answer, raw

FACTS = {
    *("acceptance", "gold_agreement", "gold_agreement_kept", "rows_with_gold", "answers", "labels_before"),
    *("labels_after", "label_rows", "rare_labels", "label_shift", "against_gold", "flags", "contamination"),
    *("prompts", "shards"),
}


def spec_of(folder, out):
    """Two shards: of row b the first answer is chosen, and the only answer to row c holds no label."""
    shards = {
        "s0": ([raw("b", "p", reference=["neutral"])], [("b", "neutral", 0, True), ("b", "entailment", 1, False)]),
        "s1": (
            [raw("a", "q", shard="s1"), raw("c", "r", shard="s1")],
            [("a", "neutral", 0, True), ("c", "perhaps", 0, True)],
        ),
    }
    for key, (raws, answers) in shards.items():
        (folder / key).mkdir(parents=True)
        parquet.write_table(folder / key / files.RAW_FILE, raws, schemas.RAW)
        rows = [{**answer(row_id, text, sample), "chosen": chosen} for row_id, text, sample, chosen in answers]
        parquet.write_table(folder / key / files.TEACHER_FILE, rows, schemas.TEACHER)
    parquet.write_table(folder / "test.parquet", [raw("t", "another prompt", split="test")], schemas.RAW)
    return SetSpec(
        raw=[str(folder / key / files.RAW_FILE) for key in shards],
        teacher=[str(folder / key / files.TEACHER_FILE) for key in shards],
        test=str(folder / "test.parquet"),
        quality=QualityConfig(),
        learn="answer",
        out=str(out),
        work=str(folder / "work"),
    )


def publish(tmp_path):
    def make(out, _):
        spec = spec_of(tmp_path / "shards", out)
        return build_set(SetSpec.model_validate_json(spec.model_dump_json()), "cpu")

    return Store(tmp_path / "store").publish("validated_synthetic_set", None, fingerprint="f", inputs={}, make=make)


def test_the_set_of_two_shards_has_the_chosen_answers(tmp_path):
    manifest = publish(tmp_path)
    examples = parquet.read_table(manifest.file(files.EXAMPLES_FILE))
    rejects = parquet.read_table(manifest.file(files.REJECTS_FILE))
    assert [(e["row_id"], e["sample"], e["answer"]) for e in examples] == [("a", 0, "neutral"), ("b", 0, "neutral")]
    assert [(r["row_id"], r["shard"], r["code"]) for r in rejects] == [("c", "s1", "off_form")]
    for example in examples:
        assert example["messages"][-1] == {"role": "assistant", "content": example["answer"]}
        assert example["messages"][-2]["role"] == "user"
    asked = [{**example, "messages": example["messages"][:-1]} for example in examples]
    assert manifest.data_version == hashing.rows_hash(asked)  # as before the answers joined the messages


def test_a_torn_table_is_named(tmp_path):
    spec = spec_of(tmp_path / "shards", tmp_path)
    for path in (spec.teacher[1], spec.raw[0]):
        whole = Path(path).read_bytes()
        Path(path).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match=f"^{re.escape(path)} cannot be read as parquet"):
            build_set(spec, "cpu")
        Path(path).write_bytes(whole)
    assert build_set(spec, "cpu").counts.examples == 2


def test_what_a_killed_run_left_behind_does_not_matter(tmp_path):
    spec = spec_of(tmp_path / "shards", tmp_path)
    left = Path(spec.work) / "spill" / "raw.parquet"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half a table")
    assert build_set(spec, "cpu").counts.examples == 2
    assert not left.parent.exists()


def test_the_manifest_keeps_its_keys_and_gives_the_result_back(tmp_path):
    manifest = publish(tmp_path)
    assert manifest.counts == {
        "teacher_rows": 3,
        "examples": 2,
        "train": 2,
        "validation": 0,
        "rejected": 1,
        "off_form": 1,
    }
    assert set(manifest.facts) == FACTS
    assert manifest.facts["label_rows"] == {"nli": {"contradiction": 0, "entailment": 0, "neutral": 2}}
    result = manifest.read(SetResult)
    assert (result.shards, result.answers, result.rows_with_gold, result.gold_agreement) == (2, 3, 1, 1.0)
    assert result.counts.by_reason == {"off_form": 1}
    assert result.parts() == (manifest.counts, manifest.facts)


def test_a_manifest_of_an_older_version_lacks_facts_and_reads_all_the_same(tmp_path):
    manifest = publish(tmp_path)
    for name in ("label_rows", "answers", "prompts", "against_gold", "contamination", "label_shift", "flags"):
        del manifest.facts[name]
    result = manifest.read(SetResult)
    assert (result.label_rows, result.label_shift, result.against_gold.filters) == ({}, None, {})
