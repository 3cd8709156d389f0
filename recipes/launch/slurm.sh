#!/bin/bash
# Rollouts of a recipe's first stage by eight jobs of a Slurm array, one GPU each; then the run itself.
#
#   rollouts=$(sbatch --parsable recipes/launch/slurm.sh mine.yaml)
#   sbatch --dependency=afterok:$rollouts --gpus=1 --wrap \
#     'paced run mine.yaml rollouts.from="runs/mine.shards/*.jsonl"'
#
# A job that was killed is submitted again with the same command: it completes its file where that ends.
#SBATCH --job-name=paced-rollouts
#SBATCH --array=0-7
#SBATCH --gpus=1
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
set -euo pipefail
recipe=${1:?give a recipe}
exec paced rollout "$recipe" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
