"""The body of a request: the one place that decides which parameters an endpoint is sent.

A teacher, a benchmark, a judge and the smoke gate all send what `request_body` returns.

    {"model": "m", "messages": [...], "temperature": 0.0, "max_tokens": 256, "n": 1}
"""

import hashlib
from typing import Any

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.sampling import OMIT, sampling_params


def request_body(request: Request, endpoint: EndpointConfig, generation: GenerationConfig) -> dict[str, Any]:
    """The JSON body to send. Each sampled request carries its own seed, so that the samples of one prompt differ."""
    body = {"model": endpoint.model, "messages": request.messages}
    body |= _parameters(request, endpoint, generation)
    if request.response_format and endpoint.json_mode != "none":
        is_schema = endpoint.json_mode == "json_schema"
        body["response_format"] = request.response_format if is_schema else {"type": "json_object"}
    if endpoint.top_logprobs:
        body |= {"logprobs": True, "top_logprobs": endpoint.top_logprobs}
    if endpoint.stream:
        body |= {"stream": True}
        if endpoint.parameters.stream_options != OMIT:
            body |= {"stream_options": {"include_usage": True}}  # or the tokens have to be estimated
    return body | endpoint.extra_body


def sampling_sent(endpoint: EndpointConfig, generation: GenerationConfig) -> dict[str, Any]:
    """Temperature and `top_p` as they are sent, `extra_body` included; what is not sent is missing."""
    body = request_body(Request("", []), endpoint, generation)
    return {name: body[name] for name in ("temperature", "top_p") if name in body}


def _parameters(request: Request, endpoint: EndpointConfig, generation: GenerationConfig) -> dict[str, Any]:
    accepted = endpoint.parameters
    sampling = sampling_params(generation, accepted)
    parameters = {endpoint.max_tokens_field: generation.max_new_tokens}
    if sampling["temperature"] is not None:
        parameters["temperature"] = sampling["temperature"]
    if accepted.n != OMIT:
        parameters["n"] = 1
    if "seed" in sampling:
        parameters["seed"] = _seed(sampling["seed"], request.request_hash)
    if sampling.get("top_p", 1) < 1 or isinstance(accepted.top_p, float):  # TGI refuses 1, the protocol's default
        parameters["top_p"] = sampling["top_p"]
    return parameters


def _seed(seed: int, request_hash: str) -> int:
    """31 bits, which every server takes."""
    return int(hashlib.sha256(f"{seed}:{request_hash}".encode()).hexdigest()[:8], 16) >> 1
