"""The component in a Dagster project of a team's own, through the commands that the team runs."""

import json

import pytest
import yaml

from testing.installed import DG
from testing.projects import tiny_settings, write_project

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("installed")]
TYPE = "distill_dagster.DistillationComponent"


def assets_of(dg_project, **variables) -> set[str]:
    """The asset keys that `dg list defs` shows."""
    said = dg_project.dg("list", "defs", "--json", **variables)
    return {asset["asset_key"] for asset in json.loads(said[said.index("{\n") :])["assets"]}


def test_what_dg_scaffolds_loads_and_runs(dg_project):
    dg_project.dg("scaffold", "defs", TYPE, "my_distillation", "--task", "nli")
    folder = dg_project.defs / "my_distillation"
    attributes = yaml.safe_load((folder / "defs.yaml").read_text())["attributes"]
    assert (attributes["task"], attributes["key_prefix"]) == ("nli", "my_distillation")
    assert len([*folder.glob("data/train/*.jsonl")]) == 4

    assert "loaded successfully" in dg_project.dg("check", "defs")
    assert {"my_distillation/raw_dataset", "my_distillation/eval_report"} <= assets_of(dg_project)
    dg_project.dg("launch", "--assets", "my_distillation/eval_dataset")
    published = json.loads((dg_project.root / "store/my_distillation/eval_dataset/manifest.json").read_text())
    assert published["counts"]["rows"] == 150


def test_dg_lists_the_component_and_describes_its_fields(dg_project):
    listed = dg_project.dg("list", "components", "--json")
    assert TYPE in listed
    shown = dg_project.dg("utils", "inspect-component", TYPE, "--defs-yaml-schema")
    assert "retention_target: <one of: number, string>  # Optional: Least share of the teacher's score." in shown
    assert "early_stopping_patience" in shown  # a field of a section that may be left out
    dg_project.dg("utils", "generate-component-schema")
    assert TYPE in (dg_project.root / ".dg" / "schema.json").read_text()
    page = "import acme.definitions as own; print(own.defs().metadata['plugin_component_types_json'].value)"
    code, said = dg_project.run("-c", page)  # what the code location's page `Docs` in the UI shows
    assert code == 0, said
    assert TYPE in said
    assert "Where the work runs." in said


def test_check_yaml_names_file_line_and_typo(dg_project):
    settings = tiny_settings()
    settings["teacher"]["fit"]["learning_rat"] = 0.01
    text = yaml.safe_dump({"type": TYPE, "attributes": settings})
    file = dg_project.write("mine/defs.yaml", text)
    line = [n for n, words in enumerate(text.splitlines(), 1) if "learning_rat:" in words]
    code, said = dg_project.run(*DG, "check", "yaml")
    assert code == 1
    assert f"{file}:{line[0]} - " in said
    assert "attributes.teacher.fit.learning_rat" in said
    assert "'learning_rat' was unexpected" in said


def test_check_yaml_names_what_stands_beside_config_file(dg_project):
    dg_project.write("mine/defs.yaml", f"type: {TYPE}\nattributes:\n  config_file: distill.yaml\n  task: nli\n")
    code, said = dg_project.run(*DG, "check", "yaml")
    assert code == 1
    assert "defs.yaml:4 - " in said
    assert "'task' was unexpected" in said


def test_two_components_with_different_prefixes_share_a_code_location(dg_project):
    inline = tiny_settings(key_prefix="{{ env.PREFIX }}")
    dg_project.write("first/defs.yaml", yaml.safe_dump({"type": TYPE, "attributes": inline}))
    write_project(dg_project.root / "configs", key_prefix="second")
    link = f"type: {TYPE}\nattributes: {{config_file: ../../../../configs/distill.yaml}}\n"
    dg_project.write("second/defs.yaml", link)
    dg_project.dg("scaffold", "defs", TYPE, "third", "--format", "python")
    dg_project.dg("check", "defs", PREFIX="first")
    reports = {key for key in assets_of(dg_project, PREFIX="first") if key.endswith("eval_report")}
    assert reports == {"first/eval_report", "second/eval_report", "third/eval_report"}


def test_a_single_component_needs_no_prefix_and_keeps_the_executor_of_the_project(dg_project):
    dg_project.write("mine/defs.yaml", yaml.safe_dump({"type": TYPE, "attributes": tiny_settings()}))
    own = "import dagster as dg\n\ndefs = dg.Definitions(executor=dg.multiprocess_executor)\n"
    dg_project.write("own.py", own)
    assert {"raw_dataset", "eval_report"} <= assets_of(dg_project)
