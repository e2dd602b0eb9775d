#!/bin/bash
# A study as a Slurm array: each job does its part, and the folder of
# records is all that they share.
#     sbatch array.sh                  # 16 parts, at most 8 at a time
#     sbatch --array=3,7 array.sh      # parts 3 and 7 again
#     STUDY=study.yaml OUTPUT=/shared/study sbatch array.sh
# A job that is preempted, or near its time limit, goes back into the
# queue; what it had finished is not repeated. Set partition and account
# as your cluster wants them.
#SBATCH --job-name=pepr
#SBATCH --array=1-16%8
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --gres=gpu:1
#SBATCH --mem=32G
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
#SBATCH --open-mode=append
#SBATCH --output=pepr-%A-%a.log
set -euo pipefail

# As many as the whole array has, also where some parts are repeated.
PARTS=16
STUDY=${STUDY:-paper}
# A clone with its .venv, and a folder on a disk that all nodes see.
PROJECT=${PROJECT:-$SLURM_SUBMIT_DIR}
OUTPUT=${OUTPUT:-$PROJECT/results/$(basename "$STUDY" .yaml)}

# This part alone: the number of one of the jobs is that of the array.
JOB=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID

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

back_into_the_queue() {
    trap '' TERM
    jobs -p | xargs -r kill -TERM 2>/dev/null || true
    wait || true   # it ends its kernels and frees its locks
    may_go_back || exit 1
    scontrol requeue "$JOB"
    exit 0
}
trap back_into_the_queue TERM

# shellcheck disable=SC1091
source "$PROJECT/.venv/bin/activate"
pepr sweep "$STUDY" --output "$OUTPUT" \
    --shard "$SLURM_ARRAY_TASK_ID/$PARTS" &
wait $!
