"""`python -m distill_dagster` is the command `distill-dagster`."""

from distill_dagster.cli import app

app(prog_name="python -m distill_dagster")
