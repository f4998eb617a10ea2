"""Which columns of a stage's table are made from which columns of other tables, for the UI."""

import dagster as dg

from distill_dagster.assets.naming import Names
from distill_dagster.store.columns import MADE_FROM


def column_lineage(stage: str, names: Names) -> dict[str, dg.TableColumnLineage]:
    """The metadata entry of a stage whose table is made from other tables; {} for any other stage."""
    if stage not in MADE_FROM:
        return {}
    deps = {
        column: [dg.TableColumnDep(asset_key=names.key(table), column_name=read) for table, read in sources]
        for column, sources in MADE_FROM[stage].items()
    }
    return {"dagster/column_lineage": dg.TableColumnLineage(deps_by_column=deps)}
