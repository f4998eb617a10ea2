"""The preflight: what cannot work is found before anything is made or asked, and only what is pending counts."""

import sys

from testing.api_project import write_api_project
from testing.projects import write_project
from tests.preflight.looks import errors, look_at


def test_a_project_that_can_work_has_no_error(tmp_path, server):
    found = look_at(write_api_project(tmp_path, server, test_gold="answer"))
    assert {requirement.state for requirement in found} == {"ok"}
    needed = {"key", "endpoint", "model", "pairing", "rows", "gold answers", "device", "memory", "disk", "write access"}
    assert needed == {requirement.what for requirement in found}
    assert server.counts()["total"] == 1


def test_without_the_whole_nothing_is_sent_nor_written_and_transformers_stays_out(tmp_path, server, monkeypatch):
    path = write_api_project(tmp_path, server, test_gold="answer")
    for name in [name for name in sys.modules if name.split(".")[0] == "transformers"]:
        monkeypatch.delitem(sys.modules, name)
    found = {requirement.what: requirement.state for requirement in look_at(path, whole=False)}
    assert (found["endpoint"], found["model"]) == ("not checked", "not checked")
    assert server.counts()["total"] == 0
    assert "transformers" not in sys.modules
    assert not (tmp_path / "store").exists()


def test_until_leaves_out_what_comes_later(tmp_path, server):
    path = write_api_project(tmp_path, server, test_gold="answer", **{"student.model.architecture": "lama"})
    assert ("model", "student.model") in errors(path)
    assert not errors(path, until="teacher_outputs")
    assert not errors(path, until="raw_dataset")
    assert server.counts()["total"] == 2


def test_text_needs_no_tokenizer_and_rounds_need_their_devices_and_room(tmp_path):
    assert "student.training" not in {found.of for found in look_at(write_project(tmp_path))}
    found = look_at(write_project(tmp_path, **{"student.training.signal": "on_policy"}))
    leased = [one.of for one in found if one.what == "device"]
    assert {"student_round_0", "student_rollouts_1", "rollout_logits_2", "student_round_2"} <= set(leased)
    assert "student_checkpoint" not in leased, "the last round's weights are copied"
    planned = {one.of: one.found for one in found if one.what == "memory" and "activations" in one.found}
    assert {"student_round_0", "student_round_1", "student_round_2"} <= planned.keys()
    assert planned["student_round_1"] == planned["student_round_2"] != planned["student_round_0"]
