#!/bin/bash
# Pass rates of a problem file by eight jobs of a Slurm array, one GPU each; then one table of all.
#
#   rates=$(sbatch --parsable recipes/launch/rate_slurm.sh problems.jsonl Qwen/Qwen3-8B rates.parquet)
#   sbatch --dependency=afterok:$rates --wrap 'paced rate problems.jsonl -o rates.parquet --merge'
#
# A job that was killed is submitted again with the same command: it completes its file where that ends. A job that has
# left out a problem (its prompt does not fit) ends with 1: then start the second command by hand.
#SBATCH --job-name=paced-rate
#SBATCH --array=0-7
#SBATCH --gpus=1
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
set -euo pipefail
problems=${1:?give a problem file}
model=${2:?give a model}
table=${3:?give the table that is written}
exec paced rate "$problems" --model "$model" -o "$table" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" "${@:4}"
