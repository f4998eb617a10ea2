"""The Hugging Face libraries without their progress bars: work reports through `progress.track` and nothing else.

`datasets`, `transformers` and `huggingface_hub` draw bars on stderr, which would tear the command line's own
bar and fill a Dagster log with carriage returns. What was switched on before is switched on again afterwards.
"""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """No bars and no warnings below error from Hugging Face libraries inside the block."""
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
