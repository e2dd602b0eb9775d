#!/bin/bash
# A study on several nodes: a Dask scheduler and one worker for each GPU,
# in one Slurm job. Work goes to whichever worker is free, so that no GPU
# waits for the slowest part.
#     sbatch cluster.sh
#     sbatch --ntasks=16 cluster.sh    # 16 GPUs
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

FILE=$OUTPUT/scheduler-$SLURM_JOB_ID.json
JOB=$SLURM_JOB_ID scheduler='' workers='' begun=''

# It stays out of the queue after three times without a new record of the
# study.
may_go_back() {
    local file=$OUTPUT/running/$JOB.requeued records last=-1 times=0
    records=$({ ls "$OUTPUT/runs" 2>/dev/null || true; } | wc -l)
    [ ! -s "$file" ] || read -r last times <"$file"
    [ "$records" = "$last" ] || times=0
    if [ "$times" -ge 3 ]; then
        echo "job $JOB is not requeued: it was three times, and no run has" \
            "ended since. If a run takes longer than the job may, give the" \
            "job more --time, or let --time-limit-s of the sweep end it." >&2
        return 1
    fi
    # On a full disk it goes back: the sweep waits for room.
    mkdir -p "$OUTPUT/running" && echo "$records $((times + 1))" >"$file" || true
}

end() {
    for started in $workers $scheduler; do
        kill "$started" 2>/dev/null && wait "$started" || true
    done
    rm -f "$FILE"
}
back_into_the_queue() {
    trap '' TERM
    if [ -n "$begun" ]; then
        kill -TERM $! 2>/dev/null || true
        wait $! || true   # it ends its kernels and frees its locks
    fi
    may_go_back || exit 1
    scontrol requeue "$JOB"
    exit 0
}
trap end EXIT
trap back_into_the_queue TERM

# shellcheck disable=SC1091
source "$PROJECT/.venv/bin/activate"
mkdir -p "$OUTPUT"
dask scheduler --scheduler-file "$FILE" --port 0 --dashboard-address :0 &
scheduler=$!
# One worker for each task, with the one GPU that Slurm gives it, and no
# limit of its own on memory: the training is in a kernel beside it.
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" \
    dask worker --scheduler-file "$FILE" --nthreads 1 \
    --memory-limit 0 --preload pepr_utils.measurement.sweep.worker &
workers=$!
until [ -s "$FILE" ]; do
    sleep 1
    kill -0 "$scheduler"   # else the job ends here
    kill -0 "$workers"
done
begun=yes
pepr sweep "$STUDY" --output "$OUTPUT" --scheduler "$FILE" &
wait $!
