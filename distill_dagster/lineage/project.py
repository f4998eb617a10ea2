"""A project: one config and its store."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_dagster.config import DistillConfig
from distill_dagster.config.reading import check_config
from distill_dagster.generation.unsettled import is_unsettled
from distill_dagster.store.artefacts import Store


@dataclass(frozen=True, slots=True)
class Project:
    """A config and its store."""

    config: DistillConfig

    @property
    def store(self) -> Store:
        """Where the project's artefacts are."""
        return Store(Path(self.config.store), is_unsettled=is_unsettled)

    @property
    def responses(self) -> Path:
        """The folder of every reply that the project has paid for."""
        return self.store.root / "responses"

    @property
    def tensorboard(self) -> Path:
        """The folder of the curves of every training: `tensorboard --logdir` shows them side by side."""
        return self.store.root / "tensorboard"

    def curves(self, stage: str, fingerprint: str) -> Path:
        """The folder of the curves of one training; it need not exist."""
        return self.tensorboard / f"{stage}-{fingerprint[:12]}"

    def with_overrides(self, section: tuple[str, str], changes: dict[str, Any]) -> "Project":
        """The same project with `changes` in a section, such as ("student", "training").

        Raises:
            ConfigError: a value is wrong; the checks are those of distill.yaml.
        """
        if not changes:
            return self
        settings = self.config.model_dump()
        settings[section[0]][section[1]].update(changes)
        return Project(check_config(settings, f"the run's config ({'.'.join(section)})"))
