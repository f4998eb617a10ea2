"""A project: one config and its store."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_dagster.config import DistillConfig
from distill_dagster.config.bucket import is_bucket
from distill_dagster.config.reading import check_config
from distill_dagster.generation.unsettled import is_unsettled
from distill_dagster.store.artefacts import Store
from distill_dagster.store.documents import Documents
from distill_dagster.store.places import BucketFolder, Place, documents_in, open_store


@dataclass(frozen=True, slots=True)
class Project:
    """A config and its store."""

    config: DistillConfig

    @property
    def store(self) -> Store:
        """Where the project's artefacts are."""
        return open_store(self.config.store, self.config.local_root, is_unsettled)

    @property
    def responses(self) -> Place:
        """The folder of every reply that the project has paid for."""
        return self._place("responses")

    @property
    def state(self) -> Documents:
        """What the project remembers besides its artefacts, such as the alerts that were sent."""
        return documents_in(self._place("state") if is_bucket(self.config.store) else self.config.local_root)

    def _place(self, folder: str) -> Place:
        """A folder of the store."""
        store, local = self.config.store, self.config.local_root
        return BucketFolder(store, folder, local) if is_bucket(store) else local / folder

    @property
    def tensorboard(self) -> Path:
        """The folder of the curves of every training: `tensorboard --logdir` shows them side by side."""
        return self.config.local_root / "tensorboard"

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
