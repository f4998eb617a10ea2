"""Training resumes neither from a torn checkpoint nor from one of another run."""

import json
import shutil

import pytest

from distill_dagster.training.checkpoints import is_complete, latest, mark, run_folder


def write_checkpoint(folder, step, best=None):
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir()
    (checkpoint / "model.safetensors").write_bytes(b"weights of step %d" % step)
    for rank in range(2):  # of a sharded model
        (checkpoint / "optimizer_0").mkdir(exist_ok=True)
        (checkpoint / "optimizer_0" / f"__{rank}_0.distcp").write_bytes(b"state of rank %d" % rank)
    state = {"best_model_checkpoint": str(folder / f"checkpoint-{best}") if best is not None else None}
    (checkpoint / "trainer_state.json").write_text(json.dumps(state))
    mark(checkpoint)
    return checkpoint


def unmark(checkpoint):
    (checkpoint / "complete.json").unlink()


def tear(checkpoint):
    (checkpoint / "model.safetensors").write_bytes(b"weig")


def lose(checkpoint):
    (checkpoint / "model.safetensors").unlink()


def lose_shard(checkpoint):
    (checkpoint / "optimizer_0" / "__1_0.distcp").unlink()


def add_shard(checkpoint):
    (checkpoint / "optimizer_0" / "__2_0.distcp").write_bytes(b"of a third rank")


def garble(checkpoint):
    (checkpoint / "complete.json").write_text("{")


@pytest.mark.parametrize("damage", [unmark, tear, lose, lose_shard, add_shard, garble])
def test_a_torn_checkpoint_is_deleted_and_the_one_before_is_used(tmp_path, damage):
    good, torn = write_checkpoint(tmp_path, 90), write_checkpoint(tmp_path, 100)
    assert latest(tmp_path) == torn  # by number: 100 is after 90
    damage(torn)
    assert not is_complete(torn)
    assert latest(tmp_path) == good
    assert not torn.exists()


def test_a_checkpoint_whose_best_one_is_gone_does_not_count(tmp_path):
    first, best, last = (write_checkpoint(tmp_path, step, best=best) for step, best in ((1, 1), (2, 2), (3, 2)))
    assert latest(tmp_path) == last
    shutil.rmtree(best)
    assert latest(tmp_path) == first


def test_without_checkpoints_there_is_none(tmp_path):
    assert latest(tmp_path) is None


def test_another_runs_checkpoints_are_deleted(tmp_path):
    mine = run_folder(tmp_path, "a" * 64)
    write_checkpoint(mine, 5)
    assert latest(run_folder(tmp_path, "a" * 64)) == mine / "checkpoint-5"
    other = run_folder(tmp_path, "b" * 64)
    assert latest(other) is None
    assert not mine.exists()
