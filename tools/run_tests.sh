#!/usr/bin/env bash
# Copyright (c) mmreid contributors. All rights reserved.
# Installs mmreid with its test extras, checks the style and runs the tests. Needs only Python and git.
#
#     bash tools/run_tests.sh                              # the first tier: what every change has to pass
#     bash tools/run_tests.sh --all                        # and what is long: documented chains, wheels, crashes
#     bash tools/run_tests.sh tests/test_models -k gem     # arguments go to pytest
#
# Works in the active virtual or conda environment, else in .venv, which it makes. PYTHON picks the interpreter.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"

# Paths on the command line are relative to where the user is; the root of the checkout is meant.
cd "$MMREID_ROOT"
mmreid_use_env
mmreid_install tests

# Spinning threads of torch and OpenCV slow each other down on shared cores.
export OMP_NUM_THREADS=1

mmreid_say "Checking the style (ruff check)"
"$MMREID_PY" -m ruff check . || mmreid_die 'ruff check found problems: see above, most are mended by `ruff check --fix .`.'
mmreid_say "Checking the formatting (ruff format --check)"
"$MMREID_PY" -m ruff format --check . || mmreid_die 'some files are not formatted: run `ruff format .`.'

mmreid_say "Running the tests (pytest)"
# All of them: one process per core, whole files each, in the order of tests/conftest.py. A chosen few start faster in
# one process.
parallel=(-n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder)
case "${1:-}" in
    "") set -- "${parallel[@]}" -m "not long" ;;
    --all) set -- "${parallel[@]}" "${@:2}" ;;
esac
"$MMREID_PY" -m pytest "$@"
