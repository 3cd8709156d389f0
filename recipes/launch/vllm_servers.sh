#!/bin/bash
# One vLLM server on each GPU of a Slurm array, a pool for one run that itself needs no GPU for its rollouts.
#
#   servers=$(sbatch --parsable recipes/launch/vllm_servers.sh Qwen/Qwen3-8B)
#   until [ "$(cat servers-$servers/* | wc -l)" = 8 ]; do sleep 10; done     # each writes its URL once it answers
#   paced run mine.yaml rollouts.engine.name=server \
#     rollouts.engine.parameters.base_urls="[$(cat servers-$servers/* | paste -sd,)]"
#   scancel "$servers"
#
# `paced` must be importable where a server runs. Anyone who reaches the port can ask: use a network of your own.
#SBATCH --job-name=paced-servers
#SBATCH --array=0-7
#SBATCH --gpus=1
set -euo pipefail
model=${1:?give a model}
port=$((8000 + SLURM_ARRAY_TASK_ID)) # several tasks may share a node
url="http://$(hostname -f):$port"
urls="servers-$SLURM_ARRAY_JOB_ID"
mkdir -p "$urls"

python -m vllm.entrypoints.openai.api_server --model "$model" --host 0.0.0.0 --port "$port" \
  --generation-config vllm --logits-processors paced.rollouts.vllm_noise:PacedNoise &
server=$!
trap 'rm -f "$urls/$SLURM_ARRAY_TASK_ID"; kill "$server"' EXIT
until curl --silent --fail --output /dev/null "$url/health"; do
  kill -0 "$server" # ends this task when the server has died while loading
  sleep 5
done
echo "$url" >"$urls/$SLURM_ARRAY_TASK_ID"
wait "$server"
