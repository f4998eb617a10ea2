"""The sampling parameters that decide which tokens a teacher chooses, as far as its endpoint accepts them.

    generation                          parameters            sent
    temperature 0                       -                     temperature 0
    temperature 0.7, seed 3             -                     temperature 0.7, top_p 1, seed 3
    temperature 0 (a benchmark)         {temperature: 1}      temperature 1, top_p 1, seed 0
    temperature 0                       {temperature: omit}   temperature null (the provider's default), top_p 1, seed 0

They are part of a request's hash: a request that is sent unchanged keeps its reply, however its parameters came about.
"""

from typing import Any

from distill_dagster.config import GenerationConfig, ParametersConfig

OMIT = "omit"
AS_ASKED = ParametersConfig()
GREEDY = GenerationConfig()  # how a model is measured, and how a judge judges


def sampling_params(generation: GenerationConfig, accepted: ParametersConfig = AS_ASKED) -> dict[str, Any]:
    """The parameters that are sent; those that only decide how requests are batched are left out.

    A temperature that is not sent is None. `top_p` and `seed` are missing where they are not sent.
    """
    temperature = _accepted(accepted.temperature, generation.temperature)
    params: dict[str, Any] = {"temperature": temperature, "max_new_tokens": generation.max_new_tokens}
    if temperature != 0:
        params |= {"top_p": _accepted(accepted.top_p, generation.top_p), "seed": generation.seed}
    elif isinstance(accepted.top_p, float):
        params["top_p"] = accepted.top_p
    return {name: value for name, value in params.items() if name == "temperature" or _is_sent(accepted, name, value)}


def is_sampled(params: dict[str, Any]) -> bool:
    """Whether two replies to one prompt may differ. A provider's default temperature counts as sampling."""
    return params["temperature"] != 0


def _accepted(accepted: float | str | None, asked: float) -> float | None:
    """The value that is sent; None: the parameter is omitted."""
    return None if accepted == OMIT else accepted if isinstance(accepted, float) else asked


def _is_sent(accepted: ParametersConfig, name: str, value: Any) -> bool:
    return value is not None and not (name == "seed" and accepted.seed == OMIT)
