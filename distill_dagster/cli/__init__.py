"""The command line: `distill-dagster init | validate | plan | status | run | report | logits | demo | dev`.

Progress and words go to standard error, results to standard output. Exit codes:

    0  done
    1  a step or a blocking check failed; the rest is published and the next run goes on from there
    2  what was given cannot work: config, data or model, with the way out in the message
    3  done, and the verdict is FAIL
    130  interrupted; the next run goes on from there
"""

from distill_dagster.cli.app import app

__all__ = ["app"]
