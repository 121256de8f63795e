#!/usr/bin/env bash
# Trains on several GPUs (or CPU processes) of this machine, or of NNODES machines.
# Usage: tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]
# Environment: NNODES NODE_RANK MASTER_ADDR PORT PYTHON
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "usage: $0 CONFIG GPUS [arguments of tools/train.py]" >&2
  exit 2
fi
CONFIG=$1
GPUS=$2
shift 2
source "$(dirname "$0")/torchrun.sh"
launch "$(dirname "$0")/train.py" "$CONFIG" --launcher pytorch "$@"
