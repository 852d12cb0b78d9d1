#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A study over a Slurm cluster, an example to adapt: an array of N jobs runs one shard each, and a job that waits for them merges the files.
#   sh bench/studies/slurm_array.sh [--local] FILE.toml N [DIRECTORY]
# DIRECTORY (FILE unless given) is on a file system that all nodes share, gets shard-1.db, ..., shard-N.db and, of them, study.db, with the digest of
# the study run in one piece. The same command again goes on with shards that a time limit or a broken node ended. --local runs the same
# jobs one after another here, without Slurm. FRYER names the program (fryer unless given). What the lines below ask Slurm for is overruled by
# sbatch's own variables: SBATCH_PARTITION, SBATCH_TIMELIMIT, SBATCH_GPUS_PER_NODE=1, ...
#SBATCH --job-name=fryer
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
set -eu
program=${FRYER:-fryer}

# The jobs: `shard` and `merge` with FILE.toml N DIRECTORY.
case ${1:-} in
  shard)
    exec "$program" study run "$2" --shard "$SLURM_ARRAY_TASK_ID/$3" --output "$4/shard-$SLURM_ARRAY_TASK_ID.db" --retry 3
    ;;
  merge)
    number=$3 directory=$4
    set --
    for shard in $(seq "$number"); do set -- "$@" "$directory/shard-$shard.db"; done
    exec "$program" study merge "$@" --output "$directory/study.db"
    ;;
esac

local_run=no
if [ "${1:-}" = --local ]; then
  local_run=yes
  shift
fi
refuse() { echo "slurm_array.sh: $1; accepted: [--local] FILE.toml N [DIRECTORY]" >&2; exit 2; }
[ $# -eq 2 ] || [ $# -eq 3 ] || refuse "$# words"
study=$1 number=$2 directory=${3:-${1%.toml}}
[ -f "$study" ] || refuse "FILE.toml: there is no file '$study'"
[ "$study" != "$directory" ] || refuse "FILE.toml: '$study' does not end in .toml"
case $number in
  '' | *[!0-9]* | 0*) refuse "N: '$number' is not accepted; the number of shards, from 1" ;;
esac
mkdir -p "$directory"

if [ "$local_run" = yes ]; then
  for task in $(seq "$number"); do SLURM_ARRAY_TASK_ID=$task sh "$0" shard "$study" "$number" "$directory"; done
  exec sh "$0" merge "$study" "$number" "$directory"
fi
shards=$(sbatch --parsable --array="1-$number" --output="$directory/shard-%a.log" "$0" shard "$study" "$number" "$directory")
shards=${shards%%;*} # a cluster's name may stand behind it
merge=$(sbatch --parsable --dependency="afterok:$shards" --kill-on-invalid-dep=yes --output="$directory/merge.log" "$0" merge \
  "$study" "$number" "$directory")
echo "array $shards of $number shards, then job ${merge%%;*}, which makes $directory/study.db; logs in $directory"
