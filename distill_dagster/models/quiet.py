"""Silences the progress bars of the Hugging Face libraries, because work reports through `progress.track` alone.

`datasets`, `transformers` and `huggingface_hub` draw bars on stderr. They would break the command line's own bar and
fill a Dagster log with carriage returns.
"""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Let Hugging Face libraries draw no bars and log only errors inside the block; then restore their settings."""
    import datasets
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    from transformers.utils import logging

    verbosity, hub_bars = logging.get_verbosity(), not are_progress_bars_disabled()
    bars, dataset_bars = logging.is_progress_bar_enabled(), datasets.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    disable_progress_bars()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
        if hub_bars:
            enable_progress_bars()
        if dataset_bars:
            datasets.enable_progress_bars()
