#!/usr/bin/env bash
# Workers of one study as a Slurm array, one for each task and GPU:
#
#   sbatch --array=0-7 slurm.sh churn.toml [OPTION...]
#
# Before the time limit Slurm asks each to leave; it finishes its epoch, and its task is queued again. So is one that crashed.
# LOSSREG: the command, lossreg; DEVICE: gpu, or cpu; RESTARTS: how often a task is queued again, 100.
#SBATCH --job-name=lossreg
#SBATCH --array=0-3
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --gres=gpu:1
#SBATCH --mem=16G
#SBATCH --time=04:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=lossreg-%A_%a.log
set -u

"${LOSSREG:-lossreg}" worker "${1:?"usage: sbatch slurm.sh STUDY [OPTION...]"}" --device "${DEVICE:-gpu}" "${@:2}" &
worker=$!
trap 'kill -TERM "$worker" 2>/dev/null' TERM
wait "$worker"
code=$?
while kill -0 "$worker" 2>/dev/null; do
    wait "$worker"
    code=$?
done

# 0: the study is finished, or other workers finish it; 2: wrong input
if [[ $code -eq 0 || $code -eq 2 || ${SLURM_RESTART_COUNT:-0} -ge ${RESTARTS:-100} ]]; then
    exit "$code"
fi
# refused, and rightly, for a task that was cancelled
scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}" || exit "$code"
