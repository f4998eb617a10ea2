#!/usr/bin/env bash
# Run the tests marked `gpu`, then measure the library's workers on this machine's GPU: a table, and as the last line
# one JSON document.
#
#     benchmarks/gpu/run.sh [--small] [--budget SECONDS]
#
# It needs no network: it installs the wheels that `wheels.sh` has collected into a temporary folder, which it removes
# afterwards. With OUT set, the document is also written to $OUT/gpu.json. The exit status is that of the benchmark, or
# 1 if only a test failed. See docs/gpu.md.
set -euo pipefail
cd "$(dirname "$0")/../.."

TESTS_S=100 # the tests are stopped after this many seconds
python=${PYTHON:-python3}
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
shopt -s nullglob

install() { # FOLDER WHEEL...: make FOLDER a folder of modules
    "$python" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --disable-pip-version-check \
        --target "$1" "${@:2}"
}

# Neither tests/conftest.py nor the project's warning filters are used: they need Dagster, which may not import here.
run_tests() {
    install "$site/tests" "${tests[@]}" &&
    PYTHONPATH="$PYTHONPATH:$site/tests" PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 timeout "$TESTS_S" \
        "$python" -m pytest -m gpu tests/gpu --noconftest -p no:cacheprovider -o filterwarnings= -rs
}

wheels=(benchmarks/gpu/wheels/*.whl) tests=(benchmarks/gpu/wheels/tests/*.whl)
if ((${#wheels[@]} == 0 || ${#tests[@]} == 0)); then
    echo "benchmarks/gpu/wheels/ lacks wheels: run benchmarks/gpu/wheels.sh where there is a package index" >&2
    exit 2
fi
install "$site/workers" "${wheels[@]}"
export PYTHONPATH="$PWD:$site/workers${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1

tested=0
if "$python" -c "import pytest" 2>/dev/null; then
    run_tests || tested=1
else
    echo "pytest is not installed here: the tests marked gpu are skipped"
fi
"$python" -m benchmarks.gpu "$@"
exit "$tested"
