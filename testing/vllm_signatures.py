"""The names that vLLM's offline engine takes and gives, read from its wheel without importing it.

    python -m testing.vllm_signatures vllm-0.33.0-….whl > testing/vllm_0_33_0.json

The package needs a GPU's libraries, so tests compare our calls with these names instead.
"""

import ast
import json
import sys
import zipfile
from pathlib import Path

TABLE = Path(__file__).parent / "vllm_0_33_0.json"
FIELDS = {
    "EngineArgs": "vllm/engine/arg_utils.py",
    "SamplingParams": "vllm/sampling_params.py",
    "RequestOutputKind": "vllm/sampling_params.py",
    "CompletionOutput": "vllm/outputs.py",
}
METHODS = {
    "LLMEngine": "vllm/v1/engine/llm_engine.py",
    "RequestOutput": "vllm/outputs.py",
}


def read_signatures(wheel: str) -> dict:
    """Class -> its fields, or its methods with their parameters; `vllm` -> what the package exports."""
    with zipfile.ZipFile(wheel) as archive:

        def tree(path: str) -> ast.Module:
            return ast.parse(archive.read(path).decode())

        fields = {name: _fields(_class(tree(path), name)) for name, path in FIELDS.items()}
        methods = {name: _methods(_class(tree(path), name)) for name, path in METHODS.items()}
        exported = next(node for node in tree("vllm/__init__.py").body if isinstance(node, ast.Assign))
        return {"vllm": sorted(ast.literal_eval(exported.value)), **fields, **methods}


def _class(module: ast.Module, name: str) -> ast.ClassDef:
    return next(node for node in module.body if isinstance(node, ast.ClassDef) and node.name == name)


def _fields(node: ast.ClassDef) -> list[str]:
    """Names that the class's body assigns, without private ones."""
    plain = [target.id for line in node.body if isinstance(line, ast.Assign) for target in line.targets]  # pyright: ignore
    typed = [line.target.id for line in node.body if isinstance(line, ast.AnnAssign)]  # pyright: ignore
    return [name for name in [*plain, *typed] if not name.startswith("_")]


def _methods(node: ast.ClassDef) -> dict[str, list[str]]:
    functions = [line for line in node.body if isinstance(line, ast.FunctionDef)]
    return {
        function.name: [each.arg for each in [*function.args.args, *function.args.kwonlyargs]][1:]
        for function in functions
        if function.name == "__init__" or not function.name.startswith("_")
    }


if __name__ == "__main__":
    print(json.dumps(read_signatures(sys.argv[1]), indent=1))
