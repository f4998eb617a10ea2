"""Requests through a provider's batch API: OpenAI's files and batches endpoints, usually at half price.

    requests -> a file of JSON lines -> POST /files -> POST /batches -> poll -> two files of results -> replies

A batch takes minutes to hours, and the process that sent it may be killed. records.py keeps on disk what was sent, so
that the next run waits for the same batch. provider.py calls the API, results.py reads the results, and sending.py
brings them together.
"""
