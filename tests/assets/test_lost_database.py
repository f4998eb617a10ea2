"""A step that loses the database marks its run, which Dagster then starts again; a step with another error does not."""

import dagster as dg
import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError

from distill_dagster.assets.lost_database import START_AGAIN, is_lost, start_again
from distill_dagster.assets.stage_asset import explained
from distill_dagster.definitions import build_lineage
from distill_dagster.errors import DataError

LOST = OperationalError("SELECT 1", {}, Exception("server closed the connection unexpectedly"))
WRONG = ProgrammingError("SELEC 1", {}, Exception("syntax error"))


def run_that_raises(instance, error) -> dict[str, str]:
    """The tags of a run in which Dagster, or the asset itself, raises an error."""

    class Storage(dg.IOManager):
        def handle_output(self, context, obj):
            raise error

        def load_input(self, context):
            raise NotImplementedError

    @dg.asset(hooks={start_again}, io_manager_def=Storage())
    def made():
        with explained():
            if isinstance(error, DataError):
                raise error
        return 1

    result = dg.materialize([made], instance=instance, raise_on_error=False)
    assert not result.success
    return instance.get_run_by_id(result.run_id).tags


@pytest.mark.parametrize("error", [LOST, pytest.param(WRONG, id="wrong"), DataError("a row"), ValueError("a bug")])
def test_the_run_is_marked_only_if_the_connection_was_lost(instance, error):
    assert (START_AGAIN.items() <= run_that_raises(instance, error).items()) is (error is LOST)


def test_an_error_that_came_from_a_lost_connection_counts():
    outer = RuntimeError("the event was not written")
    outer.__cause__ = LOST
    assert is_lost(outer)
    assert not is_lost(None)


def test_every_asset_has_the_hook(tiny_config):
    assets = [item for item in build_lineage(tiny_config).assets or () if isinstance(item, dg.AssetsDefinition)]
    assert len(assets) > 5
    assert all(start_again in asset.hook_defs for asset in assets)
