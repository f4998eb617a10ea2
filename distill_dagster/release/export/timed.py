"""The process that holds one export while `speed_benchmark` times it beside teacher, baseline and student.

    python -m distill_dagster.release.export.timed

It is the process of evaluation/speed/child.py with the runtimes of the exports in place of PyTorch.
"""

import importlib
import sys

from distill_dagster.evaluation.speed.child import main
from distill_dagster.evaluation.speed.engines import EngineKind, Engines
from distill_dagster.evaluation.speed.specs import TimedModel
from distill_dagster.release.export.formats import RUNTIMES, format_of, require_packages
from distill_dagster.release.export.onnx_answers import library
from distill_dagster.release.export.timed_llama import LlamaEngine
from distill_dagster.release.export.timed_onnx import OnnxEngine


def warm_llama(timed: TimedModel) -> None:
    """Import what llama.cpp needs; ComputeError: it is not installed."""
    require_packages(format_of(timed.name))
    for module in ("gguf", "xllamacpp"):
        importlib.import_module(module)


def warm_onnx(timed: TimedModel) -> None:
    """Import what onnxruntime-genai needs; ComputeError: it is not installed. Its config loads onnxruntime."""
    require_packages(format_of(timed.name))
    library().Config(timed.model.path)


ENGINES: Engines = {
    "llama.cpp": EngineKind(LlamaEngine, warm_llama, RUNTIMES["gguf"]),
    "onnxruntime-genai": EngineKind(OnnxEngine, warm_onnx, RUNTIMES["onnx"]),
}


if __name__ == "__main__":
    sys.exit(main(ENGINES))
