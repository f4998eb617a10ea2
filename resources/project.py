"""The project as a resource: the config, its store and its lineage, injected into every asset."""

import dagster as dg
from pydantic import PrivateAttr

from distill_dagster.config import DistillConfig
from distill_dagster.lineage.project import Project


class ProjectResource(dg.ConfigurableResource):
    """Holds one distillation project.

    Example:
        >>> project = ProjectResource.of(load_config("distill.yaml"))
        >>> project.value.config.task
        'nli'
    """

    config_json: str
    folder: str | None = None  # of distill.yaml
    _project: Project | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, config: DistillConfig) -> "ProjectResource":
        """The resource of a loaded config; it travels as JSON, so a run in another process has the same one."""
        return cls(config_json=config.model_dump_json(), folder=config.folder)

    @property
    def value(self) -> Project:
        """The project itself."""
        if self._project is None:
            config = DistillConfig.model_validate_json(self.config_json)
            self._project = Project(config.in_folder(self.folder))
        return self._project
