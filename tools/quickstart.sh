#!/usr/bin/env bash
# Copyright (c) mmreid contributors. All rights reserved.
# From nothing to a trained and tested person re-identification model. Needs only Python and git.
#
#     bash tools/quickstart.sh              # a few minutes; a second call skips what is done
#     SEEDS="0 1 2" bash tools/quickstart.sh
#
# Works in the active virtual or conda environment, otherwise in .venv, which it makes. Results go to work_dirs/quickstart,
# data to data/procedural-market1501.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
cd "$MMREID_ROOT"
mmreid_use_env
mmreid_install ""

SEEDS=${SEEDS:-"0 1"}
DATA=data/procedural-market1501
OUT=work_dirs/quickstart
CONFIG=configs/baseline/quickstart_resnet18_1xb64-25e_procedural-64x32.py
PIXELS=configs/baseline/pixels_procedural-64x32.py

# One thread computes and a worker loads. Freed activations are kept instead of being returned to the system after each
# step, which saves a fifth of the time on a CPU.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
export MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=4294967296

# Shows a command and runs it.
run() {
    printf '\n[mmreid] $ %s\n' "$*"
    "$MMREID_PY" "${@:2}"
}

# step FILE COMMAND...: runs the command unless its file exists. All steps write their file at the very end.
step() {
    local file=$1
    shift
    if [ -e "$file" ]; then
        mmreid_say "$file is there already: skipped (delete it to do this step again)"
    else
        run "$@"
    fi
}

for seed in $SEEDS; do
    [[ "$seed" =~ ^[0-9]{1,9}$ ]] || mmreid_die "SEEDS='$SEEDS' has '$seed', which is not a whole number: set SEEDS=\"0 1\"."
done
[ -n "${SEEDS// /}" ] || mmreid_die "SEEDS is empty: set SEEDS=\"0 1\", or leave it out."
started=$SECONDS
mkdir -p "$OUT"

mmreid_say "1. People in the layout of Market-1501"
# Says that it is done if the folder is complete; makes it again if files are missing.
run python tools/dataset_converters/make_procedural.py "$DATA" --train-ids 100 --test-ids 60 --seed 0 --workers 2 --force

mmreid_say "2. The floors: raw pixels, and the network before training"
step "$OUT/pixels.json" python tools/test.py "$PIXELS" none --work-dir "$OUT/pixels" --out "$OUT/pixels.json"
step "$OUT/untrained.json" python tools/test.py "$CONFIG" none --work-dir "$OUT/untrained" --out "$OUT/untrained.json"

mmreid_say "3. Training, testing, ranked lists"
rows=("raw pixels=$OUT/pixels.json" "untrained network=$OUT/untrained.json")
for seed in $SEEDS; do
    here="$OUT/seed$seed"
    # --resume continues where an interrupted call stopped.
    step "$here/epoch_25.pth" python tools/train.py "$CONFIG" --work-dir "$here" --resume --no-validate \
        --cfg-options "randomness.seed=$seed"
    step "$here/metrics.json" python tools/test.py "$CONFIG" "$here/epoch_25.pth" --work-dir "$here" \
        --show-dir "$here/ranked_lists" --interval 12 --out "$here/metrics.json"
    rows+=("trained, seed $seed=$here/metrics.json")
done

mmreid_say "Results"
"$MMREID_PY" tools/analysis_tools/compare_results.py "${rows[@]}"
cat <<TXT

Data            $DATA  (look: bounding_box_train, query, bounding_box_test)
Config          $CONFIG
Checkpoints     $OUT/seed*/epoch_25.pth
Ranked lists    $OUT/seed*/ranked_lists/procedural/*.jpg  (blue: query, green: same person, red: another)
Logs            $OUT/seed*/<time>/<time>.log
Time            $((SECONDS - started)) s after the installation

Next: docs/en/user_guides, or train on your own data with CsvReIDDataset / FolderReIDDataset.
TXT
