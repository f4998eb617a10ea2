"""Trainings that do not fit their device, with the settings that would."""

import re

import pytest

from testing.projects import TINY_LLAMA, write_project
from tests.preflight.looks import errors, look_at


def test_the_teachers_weights_are_part_of_the_memory_where_it_runs_beside_the_student(tmp_path):
    def needed(**changes):
        (folder := tmp_path / str(len(changes))).mkdir()
        found = look_at(write_project(folder, **changes))
        return next(r.found for r in found if (r.what, r.of) == ("memory", "student_checkpoint"))

    large = {"teacher.model.settings": {**TINY_LLAMA, "hidden_size": 1024, "intermediate_size": 4096}}
    alone, beside = needed(**large), needed(**large, **{"student.training.signal": "hidden"})
    assert "beside" not in alone
    assert "weights 0.0" in beside
    assert "the teacher beside it 0.1)" in beside  # 34 million parameters of 4 bytes


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ({"hidden_size": 4096, "intermediate_size": 32_000}, "warning"),
        ({"hidden_size": 8192, "intermediate_size": 94_208}, "error"),
    ],
)
def test_a_student_that_does_not_fit_the_gpu_is_named_before_it_trains(tmp_path, one_gpu, settings, state):
    """0.9 billion parameters in 2 layers take 14 of 16 GB, and 5 billion do not fit."""
    model = {**TINY_LLAMA, **settings}
    changes = {"student.model": {"architecture": "llama", "settings": model}, "compute.devices": "auto"}
    changes |= {"student.training.batch_size": 1, "student.training.max_length": 64}
    found = [
        r for r in look_at(write_project(tmp_path, **changes)) if (r.what, r.of) == ("memory", "student_checkpoint")
    ]
    assert [r.state for r in found] == [state], found


@pytest.mark.parametrize(
    ("parallel", "state", "said"),
    [
        ("auto", "ok", "on each of 2 devices, with a part of the weights (fsdp)"),
        ("ddp", "error", "on each of 2 devices, with a copy of the model (ddp)"),
    ],
)
def test_gpus_that_share_a_training_split_a_model_that_does_not_fit_one(tmp_path, two_gpus, parallel, state, said):
    """0.9 billion parameters take 14 of 16 GB, and 3 more where gradients are averaged in buckets."""
    model = {**TINY_LLAMA, "hidden_size": 4096, "intermediate_size": 32_000}
    changes = {"student.model": {"architecture": "llama", "settings": model}, "compute.devices": "auto"}
    changes |= {"student.training.batch_size": 2, "student.training.max_length": 64, "compute.train": {"gpus": 2}}
    path = write_project(tmp_path, **changes, **{"student.training.parallel": parallel})
    (found,) = [r for r in look_at(path) if (r.what, r.of) == ("memory", "student_checkpoint")]
    assert found.state == state, found
    assert said in found.found
    assert "of 16.0 GB of each GPU" in found.found
    assert "for 1 rows of 64 tokens" in found.found


def test_activations_that_do_not_fit_are_named_with_the_ways_out(tmp_path, one_gpu):
    """0.1 billion parameters take 2 of 16 GB, and 64 rows of 1,024 tokens more than the rest."""
    model = {**TINY_LLAMA, "hidden_size": 1024, "intermediate_size": 12_288}
    changes = {"student.model": {"architecture": "llama", "settings": model}, "compute.devices": "auto"}
    training = {"student.training.batch_size": 64, "student.training.max_length": 1024}
    path = write_project(tmp_path, **changes, **training)
    planned = look_at(path, whole=False, plans_memory=True)
    (said,) = [found.found for found in planned if (found.what, found.state) == ("memory", "error")]
    assert re.search(r"peak [\d.]+ GB for 64 rows of 1,024 tokens \(weights 0\.3, optimizer's state 0\.7", said), said
    assert re.search(r"these would fit: gradient_checkpointing: true \([\d.]+ GB\); batch_size: \d+ with", said), said
    assert len(set(said.partition("would fit: ")[2].split("; "))) == 3
    unplanned = {r.of: r.found for r in look_at(path, whole=False) if r.what == "memory"}
    assert "rows of" not in str(unplanned)


def test_adapters_that_do_not_fit_the_model_are_named_before_anything_is_made(tmp_path):
    path = write_project(tmp_path, **{"student.training.lora": {"targets": ["q_proi"]}})
    assert "some of q_proj, k_proj" in errors(path)["memory", "student_checkpoint"]
