"""What a real API server refuses in a pod: unknown fields, wrong types, and what no JSON schema says.

The schema is that of Kubernetes 1.37 (kubernetes-validate), with every unknown field refused, as a server does that is
asked for strict validation of fields.
"""

import re
from collections.abc import Iterator
from typing import Any

VERSION = "1.37"
SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
QUALIFIED = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
UNITS = {"m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
MOST_ENV_BYTES = 131_072  # Linux's limit for one string, beyond which a real container does not start


class Invalid(Exception):
    """The message and the status of a refusal."""

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


def amount(quantity: str | int | float) -> float:
    """The number of a quantity such as 500m or 16384Mi."""
    found = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(quantity))
    assert found, quantity
    return float(found[1]) * UNITS[found[2]]


def require_valid(document: dict[str, Any]) -> None:
    """Refuse a document of Kubernetes that is no valid one of its kind.

    Raises:
        Invalid: with the words and the status of a real server.
    """
    import kubernetes_validate

    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
    except kubernetes_validate.ValidationError as e:
        kind, message = document.get("kind"), str(getattr(e, "message", e))
        where = ".".join(map(str, getattr(e, "path", ()) or ()))
        if "Additional properties" in message or "unexpected" in message:
            text = f'{kind} in version "v1" cannot be handled as a {kind}: strict decoding error: {where}: {message}'
            raise Invalid(text, 400) from e
        raise Invalid(f'{kind} "{document.get("metadata", {}).get("name")}" is invalid: {where}: {message}') from e


def require_valid_pod(pod: dict[str, Any]) -> None:
    """Refuse what a server refuses in a pod."""
    require_valid(pod)
    if problems := [*_metadata(pod["metadata"]), *_spec(pod["spec"])]:
        raise Invalid(f'Pod "{pod["metadata"].get("name")}" is invalid: {"; ".join(problems)}')


def _metadata(metadata: dict[str, Any]) -> Iterator[str]:
    if not SUBDOMAIN.fullmatch(metadata.get("name", "")):
        yield f"metadata.name: Invalid value: {metadata.get('name')!r}: a lowercase RFC 1123 subdomain"
    for name, value in (metadata.get("labels") or {}).items():
        if not QUALIFIED.fullmatch(name) or not LABEL_VALUE.fullmatch(value):
            yield f"metadata.labels: Invalid value: {name}={value!r}"


def _spec(spec: dict[str, Any]) -> Iterator[str]:
    volumes = [volume["name"] for volume in spec.get("volumes") or []]
    if len(set(volumes)) < len(volumes):
        yield "spec.volumes: Duplicate value"
    for name, value in (spec.get("nodeSelector") or {}).items():
        if not QUALIFIED.fullmatch(name) or not LABEL_VALUE.fullmatch(value):
            yield f"spec.nodeSelector: Invalid value: {name}={value!r}"
    for toleration in spec.get("tolerations") or []:
        if toleration.get("tolerationSeconds") is not None and toleration.get("effect") != "NoExecute":
            yield "spec.tolerations.effect: Invalid value: must be 'NoExecute' when `tolerationSeconds` is set"
        if toleration.get("operator") == "Exists" and toleration.get("value"):
            yield "spec.tolerations.operator: Invalid value: value must be empty when `operator` is 'Exists'"
    yield from _affinity(spec)
    for container in spec["containers"]:
        yield from _container(container, volumes)


def _affinity(spec: dict[str, Any]) -> Iterator[str]:
    for term in required_terms(spec):
        if term["operator"] in ("Gt", "Lt") and not (len(term["values"]) == 1 and term["values"][0].isdigit()):
            yield f"nodeAffinity: Invalid value: {term['values']}: must be one integer for {term['operator']}"
    for field in preferred_fields(spec):
        if field["key"] != "metadata.name" or field["operator"] not in ("In", "NotIn") or len(field["values"]) != 1:
            yield f"nodeAffinity.matchFields: Invalid value: {field}: one value of metadata.name, In or NotIn"


def _container(container: dict[str, Any], volumes: list[str]) -> Iterator[str]:
    mounts = container.get("volumeMounts") or []
    paths = [mount["mountPath"] for mount in mounts]
    if len(set(paths)) < len(paths):
        yield "spec.containers[0].volumeMounts: must be unique"
    for mount in mounts:
        if mount["name"] not in volumes:
            yield f"spec.containers[0].volumeMounts: Not found: {mount['name']!r}"
    amounts = container.get("resources") or {}
    for name, limit in (amounts.get("limits") or {}).items():
        asked = (amounts.get("requests") or {}).get(name, limit)
        if amount(asked) > amount(limit) or ("/" in name and amount(asked) != amount(limit)):
            yield f"spec.containers[0].resources.requests: Invalid value: {asked}: must be {limit} or less"
    for variable in container.get("env") or []:
        if len(variable["name"]) + len(variable.get("value") or "") > MOST_ENV_BYTES:
            yield f"spec.containers[0].env: {variable['name']} is longer than Linux allows"
        if "value" in variable and "valueFrom" in variable:
            yield f"spec.containers[0].env: {variable['name']} may not have a value and a source"


def required_terms(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The conditions that a node must satisfy; of several terms the backend writes one."""
    rules = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    return [each for term in rules.get("nodeSelectorTerms", []) for each in term["matchExpressions"]]


def preferred_fields(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The conditions on its fields that a node should satisfy; the backend writes none on labels."""
    rules = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "preferredDuringSchedulingIgnoredDuringExecution"
    ) or []
    return [each for rule in rules for each in rule["preference"]["matchFields"]]
