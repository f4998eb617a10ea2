"""A project whose student has another tokenizer than its teacher learns from the stored log-probabilities."""

import json
from pathlib import Path

import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.freshness import is_fresh
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.logits.tokenizer import tokenizer_hash
from distill_dagster.models.ref import read_ref
from distill_dagster.models.tokenizer import open_tokenizer
from testing.projects import TINY_LLAMA, run_project, write_project

STUDENT = {"architecture": "llama", "settings": {**TINY_LLAMA, "num_hidden_layers": 1}, "vocab_size": 300}
CHANGES = {
    "teacher.logits": {"k": 1},
    "student.model": STUDENT,
    "student.training.signal": "logits",
    "student.training.logits": {"across_tokenizers": "alm"},
}
LOSS = "0.5 * CE + 0.5 * 100 * ALM at tau = 100"


@pytest.mark.processes
def test_teacher_and_student_with_different_tokenizers_make_a_student_and_a_report(tmp_path, instance):
    config = load_config(write_project(tmp_path, **CHANGES))
    project, outcome = Project(config), run_project(config, instance)
    assert outcome.failed == {}
    store = project.store
    folders = [
        read_ref(store.get(asset).folder).path for asset in ("teacher_model", "student_base", "student_checkpoint")
    ]
    teacher, base, student = (tokenizer_hash(open_tokenizer(Path(path))) for path in folders)
    assert teacher != base == student
    made = store.get("student_checkpoint")
    assert made.facts["training"]["loss"] == LOSS
    assert made.counts["no_logits"] + made.counts["no_span"] + made.counts["train_rows"] > 0
    assert made.counts["train_rows"] > made.counts["no_span"]
    assert f"| loss | {LOSS.replace('*', chr(92) + '*')} |" in made.file("model/README.md").read_text()
    losses = [point["loss"] for point in json.loads(made.file("history.json").read_text()) if "loss" in point]
    assert losses[-1] < losses[0]
    assert any(
        LOSS in path.read_text()
        for path in store.get("eval_report").folder.rglob("*")
        if path.suffix in (".html", ".json", ".md")
    )
    changed = load_config(write_project(tmp_path, **CHANGES, **{"student.training.logits.tau": 50}))
    assert not is_fresh(Snapshot(Project(changed)), "student_checkpoint")
    assert is_fresh(Snapshot(Project(changed)), "student_base")
