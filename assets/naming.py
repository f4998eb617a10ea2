"""The names of a project in Dagster, where several projects may share one instance.

Names("").key("raw_dataset")        raw_dataset          Names("").own("redistill")        redistill
Names("nli").key("raw_dataset")     nli/raw_dataset      Names("nli").own("redistill")     nli_redistill
"""

from dataclasses import dataclass

import dagster as dg

from distill_dagster.config import DistillConfig


@dataclass(frozen=True, slots=True)
class Names:
    """The names that a config's `key_prefix` makes the project's own; "" for the only project of an instance."""

    prefix: str

    @classmethod
    def of(cls, config: DistillConfig) -> "Names":
        """The names of a project."""
        return cls(config.key_prefix)

    def key(self, asset: str) -> dg.AssetKey:
        """The asset key of a stage or of an observed asset."""
        return dg.AssetKey([self.prefix, asset] if self.prefix else [asset])

    def asset(self, key: dg.AssetKey) -> str | None:
        """The stage that an asset key names; None if the asset is not the project's."""
        *prefix, name = key.path
        return name if prefix == ([self.prefix] if self.prefix else []) else None

    def own(self, name: str) -> str:
        """The name of a sensor, schedule, job, op, pool or resource."""
        return f"{self.prefix}_{name}" if self.prefix else name

    def group(self, name: str) -> str:
        """The name of an asset group."""
        return f"{self.prefix}/{name}" if self.prefix else name

    @property
    def shards(self) -> dg.DynamicPartitionsDefinition:
        """The partitions: one for each shard."""
        return dg.DynamicPartitionsDefinition(name=self.own("shards"))
