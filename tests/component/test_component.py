"""The component's attributes: what it takes, how it renders and resolves them, and that its assets materialize."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

import dagster as dg
import pytest
import yaml
from dagster.components.core.component_tree import ComponentTreeException
from dagster.components.testing.utils import DefsFolderSandbox, create_defs_folder_sandbox

from distill_dagster import DistillationComponent
from distill_dagster.config.reading import load_config
from distill_dagster.errors import ConfigError
from testing.projects import tiny_settings, write_project


@pytest.fixture
def folder():
    """A component's folder in a Dagster project."""
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.defs_folder_path / "mine"
        path.mkdir()
        yield Component(path, sandbox)


@dataclass
class Component:
    """A folder with a defs.yaml."""

    path: Path
    sandbox: DefsFolderSandbox

    def load(self, attributes) -> DistillationComponent:
        """The component of these attributes; what goes wrong with them is raised as it is, without Dagster's frame."""
        text = yaml.safe_dump({"type": "distill_dagster.DistillationComponent", "attributes": attributes})
        (self.path / "defs.yaml").write_text(text)
        with self.sandbox.build_component_tree() as tree:
            try:
                return tree.load_component(self.path)
            except ComponentTreeException as e:
                raise e.__cause__ or e from None


def definitions(component: DistillationComponent) -> dg.Definitions:
    return component.build_defs(dg.ComponentTree.for_test().load_context)


def test_inline_attributes_are_the_config_that_the_same_file_holds(folder):
    assert folder.load(tiny_settings()).config == load_config(write_project(folder.path))


def test_config_file_starts_from_the_folder_of_the_component(folder):
    config = load_config(write_project(folder.path / "configs"))
    assert folder.load({"config_file": "configs/distill.yaml"}).config == config
    assert folder.load({"config_file": "{{ 'configs' }}/distill.yaml"}).config == config


def test_an_attribute_beside_config_file_is_refused(folder):
    with pytest.raises(ConfigError, match=r"`config_file: a\.yaml` stands beside `task`: remove one"):
        folder.load({"config_file": "a.yaml", "task": "nli"})


def written(folder, text: str) -> DistillationComponent:
    """The component of this text as `quality`."""
    attributes = yaml.safe_dump({key: value for key, value in tiny_settings().items() if key != "quality"})
    head = "type: distill_dagster.DistillationComponent\nattributes:\n"
    (folder.path / "defs.yaml").write_text(head + indent(attributes + text, "  "))
    with folder.sandbox.build_component_tree() as tree:
        try:
            return tree.load_component(folder.path)
        except ComponentTreeException as e:
            raise e.__cause__ or e from None


def test_words_that_yaml_takes_for_booleans_and_numbers_are_labels_as_they_are_written(folder):
    labels = written(folder, "quality: {labels: [yes, no, 1.10, 'quoted', 012]}\n").config.quality.labels
    assert labels == ["yes", "no", "1.10", "quoted", "012"]


def test_a_wrong_attribute_is_named_with_its_line(folder):
    with pytest.raises(ConfigError, match=r"defs\.yaml:(\d+): unknown field lables, did you mean labels") as error:
        written(folder, "quality:\n  lables: [a]\n")
    line = int(str(error.value).split("defs.yaml:")[1].split(":")[0])
    assert "lables" in (folder.path / "defs.yaml").read_text().splitlines()[line - 1]


def test_an_attribute_that_comes_twice_is_refused(folder):
    with pytest.raises(ConfigError, match=r"defs\.yaml:\d+: `labels` is here and on line \d+"):
        written(folder, "quality:\n  labels: [a]\n  labels: [b]\n")


def test_templates_are_rendered_and_other_text_is_kept(folder, monkeypatch):
    monkeypatch.setenv("SCRATCH", "/mnt/fast")
    monkeypatch.setenv("RATE", "0.003")
    monkeypatch.setenv("VOCABULARY", "512")
    changes = {
        "task": "classification",
        "quality.labels": ["1", "True", "a {label}"],
        "store": "{{ env.SCRATCH }}/store",
        "student.training.learning_rate": "{{ env.RATE }}",
        "teacher.model.vocab_size": "${VOCABULARY}",
    }
    config = folder.load(tiny_settings(**changes)).config
    assert config.quality.labels == ["1", "True", "a {label}"]
    assert config.store == "/mnt/fast/store"
    assert config.student.training.learning_rate == 0.003
    assert config.teacher.model.vocab_size == 512


def test_a_template_may_hold_a_whole_section(folder):
    need = "{{ {'gpus': 0} }}"
    assert folder.load(tiny_settings(**{"compute.train": need})).config.compute.train.gpus == 0


def test_wrong_attributes_are_all_named_with_the_file(folder):
    settings = tiny_settings(tusk="nli", **{"student.training.epochs": -1})
    with pytest.raises(ConfigError, match="2 problem") as caught:
        folder.load(settings)
    for words in (str(folder.path / "defs.yaml"), "unknown field tusk", "student.training.epochs: "):
        assert words in str(caught.value)


def test_the_first_assets_materialize(folder, instance):
    write_project(folder.path)
    defs = definitions(folder.load(tiny_settings(key_prefix="mine")))
    assets, resources = defs.assets, defs.resources
    first = [asset for asset in assets if asset.key.path[-1] in ("raw_dataset", "eval_dataset")]
    instance.add_dynamic_partitions("mine_shards", ["train-part-00"])
    for asset in first:
        shard = "train-part-00" if asset.partitions_def else None
        done = dg.materialize([asset], instance=instance, resources=resources, partition_key=shard)
        assert done.success
    assert (folder.path / "store" / "eval_dataset" / "manifest.json").exists()
    assert (folder.path / "store" / "raw_dataset" / "train-part-00" / "manifest.json").exists()


def test_two_components_and_assets_of_ones_own_merge(tmp_path):
    @dg.asset
    def raw_dataset() -> None: ...

    configs = [load_config(write_project(tmp_path / prefix, key_prefix=prefix)) for prefix in ("a", "b")]
    own = dg.Definitions(assets=[raw_dataset], executor=dg.multiprocess_executor)
    merged = dg.Definitions.merge(own, *(definitions(DistillationComponent(config)) for config in configs))
    dg.Definitions.validate_loadable(merged)
    keys = {key.to_user_string() for key in merged.resolve_asset_graph().get_all_asset_keys()}
    assert {"raw_dataset", "a/raw_dataset", "b/raw_dataset"} <= keys


@pytest.mark.processes
def test_the_package_is_imported_without_dagster():
    code = "import sys, distill_dagster; print(dir(distill_dagster), 'dagster' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    names, _, is_loaded = done.stdout.strip().rpartition(" ")
    assert is_loaded == "False"
    assert "'DistillationComponent'" in names


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    import distill_dagster

    with pytest.raises(AttributeError, match="has no attribute 'Distillation'"):
        _ = distill_dagster.Distillation
