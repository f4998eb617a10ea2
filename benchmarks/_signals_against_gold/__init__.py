"""Does a signal help? The same student on gold answers alone and on each signal (`__main__.py`)."""
