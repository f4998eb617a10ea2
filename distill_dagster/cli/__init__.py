"""The command line; `distill-dagster --help` lists the commands.

Progress, warnings and errors go to standard error, results to standard output. Exit codes (docs/cli.md):

    0  done
    1  a step or a blocking check failed, or rows are refused; the next run continues from there
    2  the config, the data, a model or the command line is wrong; the message says how to fix it
    3  done, and the verdict is FAIL
    130  interrupted; the next run continues from there
"""

from distill_dagster.cli import commands, gc, projects, releases, stores, students
from distill_dagster.cli.app import app

__all__ = ["app", "commands", "gc", "projects", "releases", "stores", "students"]
