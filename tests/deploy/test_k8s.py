"""The manifests and values of deploy/k8s/ are valid, and a typo in each is refused. No cluster runs here.

Dagster's chart is not on PyPI. If DAGSTER_CHART names its folder, or ../shared/helm has its schema, the values are
checked by that, with every unknown field refused. If its templates are there too, and helm, what they make of the
values is validated: manifests, Dagster's instance, the migration.
"""

import copy
import json
import os
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml
from dagster._serdes import ConfigurableClassData

from distill_dagster.preflight.kubernetes import RIGHTS
from testing.helm import helm
from testing.k8s_rules import Invalid, require_valid, require_valid_pod
from testing.production import DEPLOY

K8S = DEPLOY / "k8s"
VALUES = yaml.safe_load((K8S / "values.yaml").read_text())
CODE = VALUES["dagster-user-deployments"]["deployments"][0]
RUN = VALUES["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]
CHART = Path(os.environ.get("DAGSTER_CHART") or DEPLOY.parents[1] / "shared/helm")
SCHEMA = CHART / "values.schema.json"
needs_schema = pytest.mark.skipif(not SCHEMA.exists(), reason="DAGSTER_CHART names no folder with Dagster's Helm chart")
needs_templates = pytest.mark.skipif(not (CHART / "templates").is_dir(), reason="DAGSTER_CHART has no templates")
slow = pytest.mark.slow  # Kubernetes' schema is compiled, its client imported


def manifests(name):
    return list(yaml.safe_load_all((K8S / name).read_text()))


@slow
@pytest.mark.parametrize("name", ["store.yaml", "rights.yaml"])
def test_each_manifest_is_valid_and_a_typo_in_it_is_refused(name):
    for manifest in manifests(name):
        require_valid(manifest)
        with pytest.raises(Invalid, match="metadat"):
            require_valid({**manifest, "metadatas": {}})
    wrong = copy.deepcopy(manifests("store.yaml")[0])
    wrong["spec"]["accessMode"] = wrong["spec"].pop("accessModes")
    with pytest.raises(Invalid, match="accessMode"):
        require_valid(wrong)


def test_the_role_has_every_right_that_the_backend_needs():
    account, role, binding = manifests("rights.yaml")
    given = {(verb, what) for rule in role["rules"] for what in rule["resources"] for verb in rule["verbs"]}
    assert set(RIGHTS) <= given
    assert not [what for _, what in given if "secret" in what], "the step needs no right to read Secrets"
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"][0]["name"] == account["metadata"]["name"] == VALUES["global"]["serviceAccountName"]


def run_pod(code=CODE, run=RUN):
    """The pod of a run as Dagster's launcher makes it of these values: the code server's and its own.

    The chart hands a run the code server's variables, Secrets, volumes and mounts, and no security context.
    """
    from dagster_k8s.job import UserDefinedDagsterK8sConfig
    from dagster_k8s.models import k8s_model_from_dict
    from kubernetes.client import ApiClient, V1PodSpec

    snake = {
        "container_config": run["containerConfig"],
        "pod_spec_config": run["podSpecConfig"],
        "job_spec_config": run["jobSpecConfig"],
    }
    own = UserDefinedDagsterK8sConfig.from_dict(snake)
    spec = {"containers": [{"name": "dagster", "image": "i:1", **own.container_config}], **own.pod_spec_config}
    document = ApiClient().sanitize_for_serialization(k8s_model_from_dict(V1PodSpec, spec))
    container = document["containers"][0]
    container["env"] = [*container["env"], *code["env"]]
    container["envFrom"] = [{"secretRef": secret} for secret in code["envSecrets"]]
    container["volumeMounts"], document["volumes"] = code["volumeMounts"], code["volumes"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "run"}, "spec": document}


@slow
def test_a_run_is_a_valid_pod_that_sees_the_store_and_says_which_pod_it_is():
    pytest.importorskip("dagster_k8s")
    pod = run_pod()
    require_valid_pod(pod)
    names = {one["name"] for one in pod["spec"]["containers"][0]["env"]}
    assert {"POD_NAME", "POD_UID", "POD_NAMESPACE", "DISTILL_CONFIG"} <= names
    assert (
        pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
        == manifests("store.yaml")[0]["metadata"]["name"]
    )
    assert pod["spec"]["securityContext"] == CODE["podSecurityContext"], "or the store is not its to write"
    assert pod["spec"]["containers"][0]["securityContext"] == CODE["securityContext"]


@slow
@pytest.mark.parametrize("part", ["run", "code"])
def test_a_typo_in_a_part_for_kubernetes_is_refused(part):
    pytest.importorskip("dagster_k8s")
    run, code = copy.deepcopy(RUN), copy.deepcopy(CODE)
    if part == "run":
        run["podSpecConfig"]["terminationGracePeriodSecond"] = 1
        with pytest.raises(Exception, match="terminationGracePeriodSecond"):
            run_pod(run=run)
    else:
        code["volumes"][0]["persistentVolumeClaim"]["claim"] = "x"
        with pytest.raises(Invalid, match="claim"):
            require_valid_pod(run_pod(code=code))


def coordinator(config):
    given = VALUES["dagsterDaemon"]["runCoordinator"]["config"]["customRunCoordinator"]
    return ConfigurableClassData(given["module"], given["class"], yaml.safe_dump(config)).rehydrate()


def test_dagster_takes_the_coordinator_and_refuses_a_typo_in_it():
    config = VALUES["dagsterDaemon"]["runCoordinator"]["config"]["customRunCoordinator"]["config"]
    assert coordinator(config).inst_data
    with pytest.raises(Exception, match="max_user_code_failure_retry"):
        coordinator({"max_user_code_failure_retry": 20})


def test_the_values_agree_with_those_for_one_machine():
    one = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    daemon, own = VALUES["dagsterDaemon"], VALUES["concurrency"]
    assert daemon["runCoordinator"]["config"]["customRunCoordinator"]["config"] == one["run_coordinator"]["config"]
    assert daemon["runRetries"]["maxRetries"] == one["run_retries"]["max_retries"]
    assert own["pools"]["granularity"] == one["concurrency"]["pools"]["granularity"] == "run"
    assert VALUES["postgresql"]["postgresqlScheme"] == one["storage"]["postgres"]["postgres_db"]["scheme"]
    assert {one["name"] for one in daemon["env"]} == {"DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR"}


def strict(schema):
    """The chart's schema for values that leave defaults out, in which an unknown field is refused."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(part) for name, part in schema.items() if name != "required" or not isinstance(part, list)}
    if isinstance(made.get("properties"), dict) and made["properties"] and not isinstance(made.get("type"), dict):
        made["additionalProperties"] = False
    return made


@needs_schema
def test_the_chart_knows_every_value():
    schema = strict(json.loads(SCHEMA.read_text()))
    jsonschema.validate(VALUES, schema)
    for path in (["concurrency", "pool"], ["runLauncher", "config", "k8sRunLauncher", "job_namespace"], ["migrates"]):
        wrong = copy.deepcopy(VALUES)
        section = wrong
        for name in path[:-1]:
            section = section[name]
        section[path[-1]] = {}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
    wrong = copy.deepcopy(VALUES)
    wrong["dagster-user-deployments"]["deployments"][0]["volumeMount"] = []
    with pytest.raises(jsonschema.ValidationError, match="volumeMount"):
        jsonschema.validate(wrong, schema)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return helm(tmp_path_factory.mktemp("helm"))


def rendered(program, chart, values, *more):
    command = [program, "template", "dagster", str(chart), "--namespace", "distill", "--values", str(values), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@needs_schema
@pytest.mark.processes
def test_helm_takes_the_values_by_the_charts_schema_and_refuses_a_typo(program, tmp_path):
    chart = tmp_path / "dagster"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: dagster\nversion: 1.13.27\n")
    (chart / "templates/values.yaml").write_text("values: {{ toYaml .Values | nindent 2 }}\n")
    schema = strict(json.loads(SCHEMA.read_text()))
    (chart / "values.schema.json").write_text(json.dumps(schema))
    done = rendered(program, chart, K8S / "values.yaml")
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["values"] == VALUES
    (tmp_path / "wrong.yaml").write_text((K8S / "values.yaml").read_text().replace("numWorkers", "numWorker"))
    done = rendered(program, chart, tmp_path / "wrong.yaml")
    assert done.returncode != 0
    assert "numWorker" in done.stderr


def documents_of(done):
    """The manifests that helm printed; each is valid."""
    assert done.returncode == 0, done.stderr
    documents = [document for document in yaml.safe_load_all(done.stdout) if document]
    for document in documents:
        require_valid(document)
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


@needs_templates
@pytest.mark.processes
def test_what_the_chart_renders_is_valid(program):
    found = documents_of(rendered(program, CHART, K8S / "values.yaml"))
    deployments = {name: document["spec"] for (kind, name), document in found.items() if kind == "Deployment"}
    assert len(deployments) == 3
    for spec in deployments.values():
        pod = spec["template"]["spec"]
        assert pod["securityContext"] == CODE["podSecurityContext"]
        assert all(one["securityContext"] == CODE["securityContext"] for one in pod["containers"])
        assert all(port["containerPort"] >= 1024 for one in pod["containers"] for port in one.get("ports", []))
    assert not [kind for kind, _ in found if kind == "Job"]
    own = {path for spec in deployments.values() for path in mounted(spec["template"]["spec"])}
    assert "/opt/dagster/dagster_home" in own
    assert "/opt/dagster/dagster_home" in (DEPLOY / "Dockerfile").read_text(), "or root owns it in the pods"


def mounted(pod):
    return {str(Path(mount["mountPath"]).parent) for one in pod["containers"] for mount in one.get("volumeMounts", [])}


@needs_templates
@pytest.mark.processes
def test_the_instance_that_the_chart_renders_is_one_that_dagster_takes(program):
    pytest.importorskip("dagster_k8s")
    from dagster._config import process_config, resolve_to_config_type
    from dagster_k8s import K8sRunLauncher

    found = documents_of(rendered(program, CHART, K8S / "values.yaml"))
    instance = yaml.safe_load(found["ConfigMap", "dagster-instance"]["data"]["dagster.yaml"])
    launcher = instance["run_launcher"]
    assert (launcher["module"], launcher["class"]) == ("dagster_k8s", "K8sRunLauncher")
    read = process_config(resolve_to_config_type(K8sRunLauncher.config_type()), launcher["config"])
    assert read.success, read.errors
    assert read.value["run_k8s_config"]["pod_spec_config"]["securityContext"] == CODE["podSecurityContext"]
    assert instance["concurrency"]["pools"] == {"default_limit": 8, "granularity": "run"}
    assert coordinator(instance["run_coordinator"]["config"]).inst_data
    assert instance["event_log_storage"]["config"]["postgres_db"]["scheme"] == "postgresql+psycopg2"


@needs_templates
@pytest.mark.processes
def test_the_migration_is_a_job_that_can_be_rendered_alone(program):
    only = "--set", "migrate.enabled=true", "--show-only", "templates/job-instance-migrate.yaml"
    found = documents_of(rendered(program, CHART, K8S / "values.yaml", *only))
    ((kind, name),) = found
    assert kind == "Job"
    assert (K8S / "values.yaml").read_text().count(f"job {name} ") == 1
    assert (K8S / "values.yaml").read_text().count(f"job/{name} ") == 1
