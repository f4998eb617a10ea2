"""Rounds of on-policy training in the lineage: each stage of a round is an asset with its own freshness and numbers."""

import json

import dagster as dg
import pytest
from typer.testing import CliRunner

from distill_dagster.cli import app
from distill_dagster.config import DistillConfig
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_definitions
from distill_dagster.errors import ConfigError
from distill_dagster.lineage.freshness import code_versions
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES, deps_of, stages_of
from distill_dagster.planning.steps import list_steps
from distill_dagster.store import files, parquet
from distill_dagster.training.specs import TrainResult
from testing.projects import TINY_LLAMA, own_instance, run_project, tiny_settings, write_project

ON_POLICY = {"student.training.signal": "on_policy"}
CHEAP = {**ON_POLICY, "student.training.epochs": 1, "teacher.logits": {"k": 8}}
ROUND_2 = ["student_rollouts_2", "rollout_logits_2", "student_round_2"]


def config_of(**changes) -> DistillConfig:
    return DistillConfig.model_validate(tiny_settings(**{**ON_POLICY, **changes}))


def rounds(count: int, **own) -> dict:
    return {"student.training.on_policy": {"rounds": count, **own}}


def test_a_project_has_the_assets_of_its_rounds_and_no_other_has_any():
    plain = {stage.name for stage in stages_of(DistillConfig.model_validate(tiny_settings()))}
    one, two = ({stage.name for stage in stages_of(config_of(**rounds(n)))} for n in (1, 2))
    assert one - plain == {"student_round_0", "student_rollouts_1", "rollout_logits_1", "student_round_1"}
    assert two - one == set(ROUND_2)
    assert plain < one
    assert deps_of(STAGES["student_round_1"], config_of()) == [
        *("validated_synthetic_set", "student_round_0", "student_rollouts_1", "rollout_logits_1"),
    ]


def test_dagster_loads_them_with_their_pools_and_the_settings_of_a_run():
    definitions = build_definitions(config_of())
    dg.Definitions.validate_loadable(definitions)
    graph = definitions.resolve_asset_graph()
    pools = {name: graph.get(dg.AssetKey(name)).pools for name in ROUND_2}
    assert list(pools.values()) == [{"gpu_student"}, {"gpu_teacher"}, {"gpu_student"}]
    specs = {name: definitions.resolve_assets_def(name).op.config_schema.as_field() for name in STUDENTS}
    assert {name for name, field in specs.items() if "learning_rate" in str(vars(field.config_type))} == {
        "student_round_1"
    }, "the last round's weights are published as they are"


STUDENTS = ("student_round_1", "student_checkpoint")


def test_one_more_round_leaves_the_settings_of_the_others():
    one, two = (code_versions(config_of(**rounds(n))) for n in (1, 2))
    assert {name for name in one if one[name] != two[name]} == {
        *("student_checkpoint", "student_benchmark", "speed_benchmark", "eval_report"),
    }


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        (rounds(2, share=0.25), "student_round_1"),
        (rounds(2, temperature=0.7), "student_rollouts_1"),
        (rounds(2, repetition={"times": 4}), "student_rollouts_1"),
        (rounds(2, max_new_tokens=7), "student_rollouts_1"),
        (rounds(2, divergence="reverse_kl"), "rollout_logits_1"),
        (rounds(2, start="logits") | {"teacher.logits": {}}, "student_round_0"),
        ({"student.model.seed": 4}, "student_base"),
        ({"student.training.learning_rate": 1e-4}, "student_round_0"),
    ],
)
def test_a_setting_makes_the_rounds_again_from_the_first_stage_that_it_shapes(changes, first):
    before, after = code_versions(config_of()), code_versions(config_of(**changes))
    assert next(name for name in after if name in before and before[name] != after[name]) == first


@pytest.mark.parametrize("changes", [rounds(2, batch_tokens=128), rounds(2, rounds=2)])
def test_what_shapes_nothing_makes_nothing_stale(changes):
    assert code_versions(config_of()) == code_versions(config_of(**changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"student.training.on_policy": {"start": "logits"}}, "`teacher.logits` is not given: add"),
        ({"student.training.on_policy": {"rounds": 0}}, "rounds"),
        ({"student.training.on_policy": {"share": 0}}, "share"),
        ({"student.training.logits": {"alpha": 0.1}}, "which starts with `text`: remove it"),
        ({"student.training.signal": "text", "student.training.on_policy": {}}, "is for `signal: on_policy`"),
        ({"student.model.tokenizer": "train"}, "use `tokenizer: teacher`"),
        ({"student.model": {"name": "/models/other"}}, "is trained on the rows, while"),
        (
            {"teacher.logits": {"tail": "sampled"}, "student.training.on_policy": {"divergence": "reverse_kl"}},
            "`student.training.on_policy` asks for reverse_kl",
        ),
        ({"teacher.prompting": "chain_of_thought", "task": "math"}, "use `prompting: plain`"),
        ({"teacher.model": None, "teacher.fit": None, "teacher.endpoint": "api"}, "`teacher.model` is not given"),
    ],
)
def test_what_cannot_work_is_refused_in_the_config(tmp_path, changes, expected):
    if changes.get("teacher.endpoint"):
        changes = {**changes, "teacher.endpoint": {"url": "http://127.0.0.1:1/v1", "model": "m", "api_key": None}}
        changes["student.model"] = {"name": "/models/other"}
    with pytest.raises(ConfigError, match=expected):
        load_config(write_project(tmp_path, **{**ON_POLICY, **changes}))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project after one round: (its folder, its instance, the outcome)."""
    root = tmp_path_factory.mktemp("on-policy")
    config = load_config(write_project(root, **CHEAP, **rounds(1)))
    with own_instance(config) as instance:
        yield root, instance, run_project(config, instance, "student_checkpoint")


def grown(root, **changes) -> DistillConfig:
    return load_config(write_project(root, **{**CHEAP, **rounds(2), **changes}))


def status_of(root, *what: str) -> dict:
    return json.loads(CliRunner().invoke(app, [*what, "--config", str(root / "distill.yaml"), "--json"]).stdout)


@pytest.mark.processes
def test_a_lineage_of_two_rounds(made, monkeypatch):
    """The first run makes one round; with `rounds: 2`, the next one makes the second round and nothing else."""
    root, instance, outcome = made
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    assert outcome.failed == {}
    assert outcome.materialized[-4:] == [*("student_rollouts_1", "rollout_logits_1"), *STUDENTS]
    config = grown(root)
    open_steps = [step.title for step in list_steps(Snapshot(Project(config))) if not step.is_fresh]
    assert open_steps[:4] == [*ROUND_2, "student_checkpoint"]
    assert [step["asset"] for step in status_of(root, "plan")["steps"] if step["state"] != "fresh"][:3] == ROUND_2
    assert [entry["artefact"] for entry in status_of(root, "status")["open"]][:3] == ROUND_2
    second = run_project(config, instance, "student_checkpoint")
    assert second.failed == {}
    assert second.materialized == [*ROUND_2, "student_checkpoint"]
    says_what_the_rounds_did(Project(config), instance)
    changed = grown(root, **{"student.model.seed": 4})
    open_steps = [step.asset for step in list_steps(Snapshot(Project(changed))) if not step.is_fresh]
    students = [stage.name for stage in stages_of(changed) if stage.group == "student"]
    assert [name for name in open_steps if name in students] == students, "another student goes through all rounds"


def says_what_the_rounds_did(project: Project, instance: dg.DagsterInstance) -> None:
    store = project.store
    student, last = store.get("student_checkpoint"), store.get("student_round_2")
    result = student.read(TrainResult)
    assert student.data_version == last.data_version
    assert [record.round for record in result.rounds] == [0, 1, 2]
    for record in result.rounds[1:]:
        rows = parquet.read_table(store.get(f"student_rollouts_{record.round}").file(files.ROLLOUTS_FILE))
        reasons = [row["finish_reason"] for row in rows]
        assert [record.stop, record.length, record.repetition] == [
            reasons.count(reason) for reason in ("stop", "length", "repetition")
        ]
        assert record.rollouts == len(rows) == record.rollout_rows
        assert record.seconds > 0
        assert record.gpu_seconds == 0
    history = json.loads(student.file(files.HISTORY_FILE).read_text())
    steps = [point["step"] for point in history]
    assert steps == sorted(steps)
    assert steps[-1] == result.steps == sum(record.steps for record in result.rounds)
    assert student.counts["rollouts"] == sum(record.rollouts for record in result.rounds)
    card = student.file("model/README.md").read_text()
    assert "forward\\_kl at T = 1; on the teacher's text: CE" in card
    assert "## Rounds" in card
    for name in ("student_rollouts_2", "rollout_logits_2", "student_round_2", "student_checkpoint"):
        metadata = instance.get_latest_materialization_event(dg.AssetKey(name)).asset_materialization.metadata
        assert {"gpu_seconds", "seconds", "counts", "made_from"} <= metadata.keys(), name
    assert metadata["rounds"].value.records[2].data["rollouts"] == result.rounds[2].rollouts


@pytest.mark.processes
def test_a_student_cut_out_of_the_teacher_learns_in_rounds_by_adapters(tmp_path):
    """It starts from stored distributions; a round trains new adapters on the merged weights of the one before."""
    changes = {
        "teacher.model.settings": {**TINY_LLAMA, "num_hidden_layers": 3},
        "student.model": None,
        "student.init": {"from": "teacher", "layers": 2},
        "student.training.lora": {"rank": 2},
    }
    config = load_config(write_project(tmp_path, **CHEAP, **rounds(1, start="logits"), **changes))
    with own_instance(config) as instance:
        assert run_project(config, instance, "student_checkpoint").failed == {}
    store = Project(config).store
    student, start, last = (store.get(name) for name in ("student_checkpoint", "student_round_0", "student_round_1"))
    assert student.data_version == last.data_version != start.data_version
    assert store.get("student_round_0").inputs["teacher_logits"]
    based_on = json.loads(last.file(f"{files.ADAPTER_FOLDER}/adapter_config.json").read_text())
    assert based_on["base_model_name_or_path"] == str(start.folder / files.WEIGHTS_FOLDER)
    card = student.file("model/README.md").read_text()
    assert "layers 1, 3 of the 3 of" in card
    assert "| LoRA | rank 2" in card
    assert "on the teacher's text: 0.5" in card
