"""A chain of small assets with the condition by which Dagster acts by itself."""

import dagster as dg

from distill_dagster.assets.condition import rerun_when_inputs_change

CHAIN = ("first", "second")


class Chain:
    """source -> first -> second; what a run makes of `first` is what the source was at that time."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.cursor, self.source, self.code = instance, None, "", "1"

    def assets(self) -> list[dg.AssetsDefinition]:
        """What is made of the source now."""

        def make(name: str, dep: str) -> dg.AssetsDefinition:
            @dg.asset(name=name, deps=[dep], code_version=self.code, automation_condition=rerun_when_inputs_change())
            def made() -> dg.MaterializeResult:
                return dg.MaterializeResult(data_version=dg.DataVersion(self.source))

            return made

        return [make("first", "source"), make("second", "first")]

    def change(self, version: str) -> None:
        """Let the source be this, and report it."""
        self.source = version
        event = dg.AssetMaterialization("source", tags={"dagster/data_version": version})
        self.instance.report_runless_asset_event(event)

    def observe(self, name: str, step: int) -> None:
        """Report a point of a curve, as a training does."""
        self.instance.report_runless_asset_event(dg.AssetObservation(name, metadata={"step": step, "loss": 1.0}))

    def tick(self) -> list[str]:
        """What is asked for."""
        defs = dg.Definitions([dg.AssetSpec("source"), *self.assets()])
        result = dg.evaluate_automation_conditions(defs, instance=self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        return [name for name in CHAIN if result.get_num_requested(dg.AssetKey(name))]

    def run(self, *names: str) -> None:
        """Make these."""
        assert dg.materialize(self.assets(), instance=self.instance, selection=list(names)).success

    def follow(self) -> list[list[str]]:
        """Run what the ticks ask for, until two of them ask for nothing; returns what they asked for."""
        asked, quiet = [], 0
        while quiet < 2:
            names = self.tick()
            if names:
                self.run(*names)
                asked.append(names)
            quiet = 0 if names else quiet + 1
        return asked
