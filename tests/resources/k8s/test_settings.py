"""What a config says of a Kubernetes cluster; none is asked."""

import pytest
from pydantic import ValidationError

from distill_dagster.config import ComputeConfig, K8sConfig
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_resources
from distill_dagster.errors import ComputeError, ConfigError
from distill_dagster.evaluation.speed.hardware import hardware_of, machine_for
from distill_dagster.lineage.freshness import code_versions
from distill_dagster.resources.compute.k8s.settings import K8sSettings, require_fit
from distill_dagster.resources.compute.settings import cluster_settings
from testing.projects import write_project

IMAGE = {"image": "r.example/distill-dagster:1"}


def in_pods(folder, k8s=(), **changes):
    own = {"backend": "k8s", "k8s": {**IMAGE, "claims": {str(folder): "store"}, **dict(k8s)}}
    return load_config(write_project(folder, **{"compute": {**own, **changes}}))


def settings_of(config, kind="generate"):
    return K8sSettings.model_validate(cluster_settings(config, kind))


def test_what_belongs_to_another_backend_is_refused():
    with pytest.raises(ValidationError, match="remove `devices`"):
        ComputeConfig.model_validate({"backend": "k8s", "k8s": IMAGE, "devices": ["0"]})
    with pytest.raises(ValidationError, match="set it to `k8s`, or remove `k8s`"):
        ComputeConfig.model_validate({"backend": "ray", "k8s": IMAGE})
    with pytest.raises(ValidationError, match=r"needs `k8s\.image`"):
        ComputeConfig.model_validate({"backend": "k8s"})


@pytest.mark.parametrize(
    ("k8s", "said"),
    [
        ({"spec": {"nodeSelector": {"a": "b"}}}, "`nodeSelector` is written by the backend"),
        ({"spec": {"securityContext": {"fsGroup": None}}}, "a field without a value"),
        ({"claims": {"project": "store"}}, "'project' is no place for a volume"),
        ({"claims": {"/project/../etc": "store"}}, "is no place for a volume"),
        ({"claims": {"/project": "Store"}}, "'Store' is no name of a PersistentVolumeClaim"),
        ({"env": ["HF_TOKEN"]}, "HF_TOKEN into the pod's spec in plain text: name it in `keys`"),
        ({"env": ["OTEL_EXPORTER_OTLP_HEADERS"]}, "OTEL_EXPORTER_OTLP_HEADERS into the pod's spec"),
        ({"env": ["HTTP_AUTH"]}, "HTTP_AUTH into the pod's spec in plain text"),
        ({"env": ["SENTRY_DSN"]}, "SENTRY_DSN into the pod's spec in plain text"),
        ({"env": ["sk-123"]}, "put the NAMES of variables here"),
        ({"keys": ["HF_TOKEN"]}, "no `keys_from` is given"),
        ({"pod": {"tolerations": [{"operator": "Equal", "key": "a"}]}}, "only `Equal` has a value"),
        ({"pod": {"tolerations": [{"operator": "Equal", "value": "a"}]}}, "needs a `key`"),
        ({"namespace": "Distill"}, "namespace"),
        ({"node_selecter": {}}, "node_selecter"),
        ({"pod": {"cpu": 1}}, "cpu"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(k8s, said):
    with pytest.raises(ValidationError, match=said):
        K8sConfig.model_validate({**IMAGE, **k8s})


def test_an_error_in_the_file_names_its_field(tmp_path):
    with pytest.raises(ConfigError, match=r"compute\.k8s\.retries"):
        in_pods(tmp_path, {"retries": -1})


def test_the_store_must_be_in_a_volume_of_the_pods(tmp_path):
    require_fit(settings_of(in_pods(tmp_path)))
    with pytest.raises(ComputeError, match=rf"the store is {tmp_path}/store, and .* mounts /other in pods"):
        require_fit(settings_of(in_pods(tmp_path, {"claims": {"/other": "store"}})))
    with pytest.raises(ComputeError, match="mounts nothing in pods"):
        require_fit(settings_of(in_pods(tmp_path, {"claims": {}})))


def test_keys_of_endpoints_need_a_secret_and_no_setting_holds_their_values(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-made-4711")
    headers = {"X-Team": "$TEAM"}
    endpoint = {"url": "https://x.example/v1", "model": "m", "api_key": "OPENAI_API_KEY", "headers": headers}
    teacher = {"teacher": {"endpoint": endpoint}, "student.model.tokenizer": "train"}
    compute = {"backend": "k8s", "k8s": {**IMAGE, "claims": {str(tmp_path): "store"}}}
    config = load_config(write_project(tmp_path, **teacher, compute=compute))
    with pytest.raises(ComputeError, match=r"OPENAI_API_KEY, TEAM, and `compute.k8s.keys_from` names no Secret"):
        require_fit(settings_of(config))
    compute["k8s"] |= {"keys_from": "keys", "keys": ["HF_TOKEN"]}
    config = load_config(write_project(tmp_path, **teacher, compute=compute))
    require_fit(settings_of(config))
    assert settings_of(config).secret_variables == ["HF_TOKEN", "OPENAI_API_KEY", "TEAM"]
    assert "sk-made" not in str(build_resources(config)["train_compute"].resource_fn(None).settings)


def test_each_kind_of_work_has_its_own_pod(tmp_path):
    config = in_pods(tmp_path, {"pod": {"cpus": 2}, "train": {"cpus": 32}})
    assert [settings_of(config, kind).pod_of(True).cpus for kind in ("train", "generate")] == [32, 2]
    assert settings_of(config, "train").pod_of(False).cpus == 2


def test_the_hardware_is_what_the_config_asks_of_the_cluster(tmp_path):
    compute = ComputeConfig.model_validate({"backend": "k8s", "k8s": IMAGE})
    assert machine_for(compute) is None
    asked = {"cluster": "k8s", "gpus": 1, "memory_gb": 0, "cpu": True}
    assert hardware_of(compute) == {**asked, "cpus": 1, "main_gb": 8, "node_selector": {}}
    plain = in_pods(tmp_path / "one")
    for name, k8s in (("two", {"benchmark": {"cpus": 4}}), ("three", {"pod": {"node_selector": {"gpu": "l4"}}})):
        before, after = code_versions(plain), code_versions(in_pods(tmp_path / name, k8s))
        assert {stage for stage in before if before[stage] != after[stage]} == {"speed_benchmark", "eval_report"}
    same = code_versions(in_pods(tmp_path / "four", {"train": {"cpus": 4}, "retries": 1}))
    assert same == code_versions(plain), "what a training is given makes nothing stale"
