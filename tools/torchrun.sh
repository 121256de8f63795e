# Sourced by dist_train.sh and dist_test.sh: starts GPUS processes with launch.py, which is torchrun with shorter output.
# On one machine the port is a free one that torchrun finds, unless PORT is given.
launch() {
  local python=${PYTHON:-python}
  if ! [[ "$GPUS" =~ ^[1-9][0-9]*$ ]]; then
    echo "error: GPUS='$GPUS' is not a number of processes; the order is CONFIG [CHECKPOINT] GPUS" >&2
    exit 2
  fi
  local where=(--standalone)
  if [ "${NNODES:-1}" != 1 ] || [ -n "${PORT:-}" ]; then
    where=(
      --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}"
      --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}"
    )
  fi
  # One thread per process unless the user says otherwise; more would compete for the same cores.
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} MKL_NUM_THREADS=${MKL_NUM_THREADS:-1}
  exec "$python" "$(dirname "${BASH_SOURCE[0]}")/launch.py" "${where[@]}" --nproc_per_node="$GPUS" "$@"
}
