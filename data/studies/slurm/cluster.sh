#!/bin/bash
# A study on several nodes: a Dask scheduler and one worker for each card,
# in one Slurm job. Work goes to whichever worker is free, so that no card
# waits for the slowest part.
#     sbatch cluster.sh
#     sbatch --ntasks=16 cluster.sh    # 16 cards
#     STUDY=study.yaml OUTPUT=/shared/study sbatch cluster.sh
# The nodes have to reach one another by TCP. Set partition and account as
# your cluster wants them.
#SBATCH --job-name=pepr
#SBATCH --ntasks=8
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-task=1
#SBATCH --mem-per-cpu=4G
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
#SBATCH --open-mode=append
#SBATCH --output=pepr-%j.log
set -euo pipefail

STUDY=${STUDY:-paper}
# A clone with its .venv, and a folder on a disk that all nodes see.
PROJECT=${PROJECT:-$SLURM_SUBMIT_DIR}
OUTPUT=${OUTPUT:-$PROJECT/results/$(basename "$STUDY" .yaml)}

# shellcheck disable=SC1091
source "$PROJECT/.venv/bin/activate"
mkdir -p "$OUTPUT"
FILE=$OUTPUT/scheduler-$SLURM_JOB_ID.json

dask scheduler --scheduler-file "$FILE" --port 0 --dashboard-address :0 &
scheduler=$!
# One worker for each task, with the one card that Slurm gives it, and no
# limit of its own on memory: the training is in a kernel beside it.
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" \
    dask worker --scheduler-file "$FILE" --nthreads 1 \
    --memory-limit 0 --preload pepr_utils.measurement.sweep.worker &
workers=$!

end() {
    kill "$workers" 2>/dev/null && wait "$workers" || true
    kill "$scheduler" 2>/dev/null && wait "$scheduler" || true
    rm -f "$FILE"
}
back_into_the_queue() {
    trap '' TERM
    kill -TERM "$sweep" 2>/dev/null || true
    wait "$sweep" || true   # it ends its kernels and frees its locks
    scontrol requeue "$SLURM_JOB_ID"
    exit 0
}
trap end EXIT

until [ -s "$FILE" ]; do
    sleep 1
    kill -0 "$scheduler"   # else the job ends here
    kill -0 "$workers"
done
pepr sweep "$STUDY" --output "$OUTPUT" --scheduler "$FILE" &
sweep=$!
trap back_into_the_queue TERM
wait "$sweep"
