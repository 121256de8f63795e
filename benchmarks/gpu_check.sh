#!/usr/bin/env bash
# Copyright (c) mmreid contributors. All rights reserved.
# Checks on a GPU what the tests on CPUs cannot: mixed precision, NCCL, SyncBN, the Triton kernels, speed.
#
#     bash benchmarks/gpu_check.sh OUT             # about 8 minutes on one GPU; OUT/summary.md is the result
#     WHEELS=folder bash benchmarks/gpu_check.sh OUT   # without network: installs mmreid's packages from the folder
#     DEVICE=cpu bash benchmarks/gpu_check.sh OUT  # a rehearsal: narrow networks, no mixed precision, no kernels
#
# Configs run as shipped but for pretrained weights and the number of epochs, on procedural people that lie where the
# configs look for the real sets. A step that fails or takes too long does not stop the others; the exit status counts
# the steps that failed.
set -uo pipefail

[ $# -eq 1 ] || { echo "usage: bash benchmarks/gpu_check.sh OUT" >&2; exit 2; }
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "$1" && OUT=$(cd "$1" && pwd)
PYTHON=${PYTHON:-python}
DEVICE=${DEVICE:-cuda}
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" PYTHON OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK"

if [ -n "${WHEELS:-}" ]; then
  "$PYTHON" -m pip install -q --no-index --find-links "$WHEELS" --no-deps "$WHEELS"/*.whl > "$OUT/install.log" 2>&1 ||
    { echo "error: the wheels in $WHEELS cannot be installed: see $OUT/install.log" >&2; exit 2; }
fi
if [ "$DEVICE" = cuda ] && ! "$PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
  echo "error: torch finds no GPU; DEVICE=cpu rehearses this script without one" >&2
  exit 2
fi

failed=0
{
  echo "# GPU check"
  echo
  echo "commit $(git -C "$ROOT" rev-parse --short HEAD 2> /dev/null || echo unknown)," \
    "$("$PYTHON" -c "import torch; print(f'torch {torch.__version__},', torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU')")"
  echo
  echo "| step | result | seconds |"
  echo "| --- | --- | --- |"
} > "$OUT/summary.md"

# check NAME SECONDS COMMAND...: runs a step; its output goes into OUT/NAME.log.
check() {
  local name=$1 limit=$2 started=$SECONDS status=0
  shift 2
  timeout "$limit" "$@" > "$OUT/$name.log" 2>&1 || status=$?
  local result="passed"
  [ $status -eq 124 ] && result="stopped after $limit s"
  [ $status -ne 0 ] && [ $status -ne 124 ] && result="failed ($status): $(tail -n 1 "$OUT/$name.log" | cut -c 1-150 | tr '|' '/')"
  [ $status -eq 0 ] || failed=$((failed + 1))
  echo "| $name | $result | $((SECONDS - started)) |" | tee -a "$OUT/summary.md"
}

# train NAME SECONDS CONFIG [OPTION...]: trains, validates and tests a shipped config for an epoch.
train() {
  local name=$1 limit=$2 config=$ROOT/configs/$3
  shift 3
  check "$name" "$limit" "$PYTHON" "$ROOT/tools/train.py" "$config" --work-dir "$WORK/$name" "${AMP[@]}" \
    --cfg-options model.backbone.init_cfg=None train_cfg.max_epochs=1 train_cfg.val_interval=1 "$@"
}

people() {
  "$PYTHON" "$ROOT/tools/dataset_converters/make_procedural.py" "data/$1" --layout "$2" --train-ids "$IDS" --workers 8 \
    "${@:3}" > "$OUT/data-$2.log" 2>&1 || { echo "error: no data in the layout $2: see $OUT/data-$2.log" >&2; exit 2; }
}

if [ "$DEVICE" = cuda ]; then
  AMP=(--amp) IDS=64 SMALL=() SHORT=()
else
  AMP=() IDS=24
  SMALL=(model.backbone.depth=18 model.backbone.base_channels=4 model.neck.in_channels=32 train_dataloader.num_workers=0)
  SHORT=(model.backbone.depth=18 model.backbone.base_channels=4 train_dataloader.num_workers=0)
fi
people Market-1501-v15.09.15 market1501 --test-ids 30 --camstyle
people SYSU-MM01 sysu --test-ids 30 --val-ids 4
people cuhk03_np_detected cuhk03np --test-ids 30
people MSMT17_V1 msmt17 --test-ids 30

BOT=baseline/bot_resnet50_1xb64-120e_market1501-256x128.py
HEAD=("${SMALL[@]}" ${SMALL:+model.head.in_channels=32})
train supervised 60 $BOT "${HEAD[@]}"
train cmnas-search 90 cmnas/cmnas-search-gradient_resnet50_1xb128-40e_sysu-256x128.py "${HEAD[@]}" train_cfg.warmup_epochs=0
train cmnas-split 60 cmnas/cmnas-split_resnet50_1xb128-120e_sysu-256x128.py "${HEAD[@]}"
train qaconv-gs 120 gs/qaconv-gs_resnet50-ibnb_1xb64-60e_market1501-384x128.py ${SMALL:+model.backbone.base_channels=4 model.neck.in_channels=64 train_dataloader.num_workers=0 train_dataloader.batch_size=8}
train ecn 90 ecn/ecn_resnet50_1xb256-60e_msmt2market-256x128.py "${SHORT[@]}" ${SMALL:+model.neck.in_channels=32}

# A process of its own for the one GPU: NCCL on GPUs, gloo elsewhere. SyncBN needs a GPU.
SYNC=()
[ "$DEVICE" = cuda ] && SYNC=(sync_bn=torch)
check one-rank-syncbn 90 bash "$ROOT/tools/dist_train.sh" "$ROOT/configs/cmnas/cmnas-split_resnet50_1xb128-120e_sysu-256x128.py" 1 \
  --work-dir "$WORK/one-rank" "${AMP[@]}" --cfg-options model.backbone.init_cfg=None train_cfg.max_epochs=1 \
  "${HEAD[@]}" "${SYNC[@]}"

if [ "$DEVICE" = cuda ]; then
  check gpu-tests 90 "$PYTHON" -m pytest -q -m gpu -p no:cacheprovider --rootdir "$ROOT" "$ROOT/tests"
  check matching-speed 120 "$PYTHON" "$ROOT/benchmarks/matching/matching_speed.py" --devices cuda
  check norm-speed 90 "$PYTHON" "$ROOT/benchmarks/cmnas/norm_speed.py" --device cuda --batch-size 64 --height 256
fi
echo "$failed step(s) failed; logs and summary.md are in $OUT"
exit $((failed > 99 ? 99 : failed))
