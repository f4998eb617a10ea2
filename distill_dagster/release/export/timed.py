"""The process that holds one export while `speed_benchmark` times it beside teacher, baseline and student.

    python -m distill_dagster.release.export.timed

It is the process of evaluation/speed/child.py with the runtimes of the exports in place of PyTorch.
"""

import sys

from distill_dagster.config import EXPORT_FORMATS
from distill_dagster.errors import ComputeError
from distill_dagster.evaluation.speed.child import main
from distill_dagster.evaluation.speed.engines import EngineKind, Engines
from distill_dagster.evaluation.speed.specs import TimedModel
from distill_dagster.release.export.formats import RUNS, RUNTIMES, family, require_packages
from distill_dagster.release.export.timed_llama import LlamaEngine
from distill_dagster.release.export.timed_onnx import OnnxEngine


def warm_llama(timed: TimedModel) -> None:
    """Import what llama.cpp needs; ComputeError: it is not installed."""
    _require(timed)
    import gguf
    import xllamacpp

    del gguf, xllamacpp


def warm_onnx(timed: TimedModel) -> None:
    """Import what onnxruntime-genai needs; ComputeError: it is not installed. Its config loads onnxruntime."""
    _require(timed)
    import onnxruntime_genai

    getattr(onnxruntime_genai, "Config")(timed.model.path)  # noqa: B009 - a compiled module, whose names pyright misses


def _require(timed: TimedModel) -> None:
    form = next((form for form in EXPORT_FORMATS if form == timed.name), None)
    if form is None or RUNS[family(form)] != timed.engine:
        raise ComputeError(f"{timed.engine} runs no export that is called {timed.name}")
    require_packages(form)


ENGINES: Engines = {
    "llama.cpp": EngineKind(LlamaEngine, warm_llama, RUNTIMES["gguf"]),
    "onnxruntime-genai": EngineKind(OnnxEngine, warm_onnx, RUNTIMES["onnx"]),
}


if __name__ == "__main__":
    sys.exit(main(ENGINES))
