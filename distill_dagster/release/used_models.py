"""Where the models of a project come from, and so whose terms hold for them.

    teacher.model.name: meta-llama/Llama-3.1-8B-Instruct      the name, in licences.yaml
    teacher.model.name: /models/tuned                         what the folder says: README.md, or else config.json
    teacher.endpoint: {url: https://api.openai.com/v1, …}     the host, in licences.yaml
    teacher.endpoint: {url: http://localhost:8000/v1, …}      the model's name: it runs on a machine of one's own
    teacher.endpoint: {url: https://api.example.com/v1, …}    the model's name, and the host's own terms, unknown

A model that is made from an architecture has no terms but its owner's. The name of a local folder says nothing.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from distill_dagster.config import DistillConfig, EndpointConfig, ModelConfig, TeacherSource
from distill_dagster.errors import ModelError
from distill_dagster.models.entries import entry
from distill_dagster.release.licences import Licence, for_host, for_hub_licence, for_model

Role = Literal["teacher", "student"]
README = "README.md"


@dataclass(frozen=True, slots=True)
class UsedModel:
    """A model of others and the terms that hold for it; `licence` is None if they are unknown, and `why` says so."""

    role: Role
    name: str  # as in the config
    licence: Licence | None
    why: str = ""


def used_models(config: DistillConfig) -> list[UsedModel]:
    """Every model of others that answers, judges, or gives the student its first weights; each once."""
    teacher, student = config.teacher, config.student
    own = [TeacherSource(model=teacher.model, endpoint=None)] if teacher.model and teacher.model.name else []
    found = [used for source in [*own, *teacher.sources] for used in _of_source(source)]
    base = teacher.model if student.init else student.model
    found += _of_model("student", base) if base else []
    return list(dict.fromkeys(found))


def _of_source(source: TeacherSource) -> Iterator[UsedModel]:
    if source.model:
        yield from _of_model("teacher", source.model)
    elif source.endpoint:
        yield from _of_endpoint(source.endpoint)


def _of_endpoint(endpoint: EndpointConfig) -> Iterator[UsedModel]:
    """The API's terms, or those of the model that somebody serves there, and of the server if it is another's."""
    host = urlsplit(endpoint.url).hostname or ""
    if service := for_host(host):
        yield UsedModel("teacher", endpoint.model, service)
        return
    yield _by_name("teacher", endpoint.model)
    if not is_own(host):
        yield UsedModel("teacher", endpoint.model, None, f"the terms of {host}, which serves it, are not listed")


def is_own(host: str) -> bool:
    """Whether a host is this machine, or one of the same network."""
    if "." not in host and ":" not in host:
        return True  # localhost, or a name without a domain
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host.casefold().endswith((".localhost", ".local", ".internal"))


def _of_model(role: Role, model: ModelConfig) -> Iterator[UsedModel]:
    if model.name is None:
        return
    folder = Path(model.name).expanduser()
    if folder.is_dir():
        yield from _of_folder(role, model.name, folder)
    elif folder.is_absolute() or model.name.startswith(".") or folder.suffix.casefold() == ".gguf":
        yield UsedModel(role, model.name, None, "a file does not say whose terms hold for it")
    else:
        yield _by_name(role, model.name)


def _by_name(role: Role, name: str) -> UsedModel:
    licence = for_model(name)
    return UsedModel(role, name, licence, "" if licence else "its licence is not listed")


def _of_folder(role: Role, name: str, folder: Path) -> list[UsedModel]:
    """The terms of the bases that a folder's model card names, and the licence that the card states."""
    card = _front_matter(folder / README)
    bases = _texts(card.get("base_model")) or _texts(_path_in_config(folder))
    known = [licence for base in bases if (licence := for_model(base))]
    stated = [licence for text in _stated(card) if (licence := for_hub_licence(text))]
    known += [licence for licence in stated if licence.hub_licence not in {base.hub_licence for base in known}]
    if not known:
        return [UsedModel(role, name, None, "neither its README.md nor its config.json names a licence that is listed")]
    return [UsedModel(role, name, licence) for licence in dict.fromkeys(known)]


def _path_in_config(folder: Path) -> Any:
    """What transformers noted as the name of the weights that the folder was loaded from."""
    try:
        return entry(folder / "config.json", "_name_or_path")
    except ModelError:  # the preflight of models says so
        return None


def _stated(card: Mapping[str, Any]) -> list[str]:
    """The licence ids of a model card: `license`, or `license_name` if that is `other`."""
    licences = _texts(card.get("license"))
    return _texts(card.get("license_name")) if licences == ["other"] else licences


def _texts(value: Any) -> list[str]:
    """A text or a list of texts, as a list."""
    return [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]


def _front_matter(path: Path) -> Mapping[str, Any]:
    """The YAML at the beginning of a model card; {} if there is none, or it cannot be read."""
    import yaml
    from huggingface_hub.repocard import metadata_load

    try:
        return (metadata_load(path) or {}) if path.is_file() else {}
    except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError):
        return {}
