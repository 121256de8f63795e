#!/usr/bin/env bash
# Copyright (c) mmreid contributors. All rights reserved.
# Checks on one GPU what the tests on CPUs cannot: mixed precision, NCCL, SyncBN, the Triton kernels, waiting, speed.
#
#     bash benchmarks/gpu_check.sh OUT               # planned for 9 minutes; OUT/summary.md and OUT/summary.json result
#     bash benchmarks/gpu_check.sh --rehearse OUT    # the same script on a CPU, shrunk, in less than 3 minutes
#     WHEELS=folder bash benchmarks/gpu_check.sh OUT # without network: installs mmreid's packages from the folder
#
# gpu/check.py says what is checked. A check that fails or takes too long does not stop the others; the exit status
# counts those.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHON=${PYTHON:-python}
# A fork may use a GPU only if its parent has not: PyTorch then asks the driver's library for GPUs, and does not start it.
export PYTORCH_NVML_BASED_CUDA_CHECK=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-2} PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"
if [ -n "${WHEELS:-}" ]; then
  "$PYTHON" -m pip install -q --no-index --find-links "$WHEELS" --no-deps "$WHEELS"/*.whl
fi
exec "$PYTHON" "$ROOT/benchmarks/gpu/check.py" "$@"
