#!/usr/bin/env bash
# The whole chain in one command. Without arguments: set-up, then the embedded sample in data/sample.
#   bash run.sh
#   bash run.sh --data DIR --train-videos A --test-videos B [--competition FILE] [--gpus N] [--folds all] [--allow-unreadable]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bash "$here/install.sh"
exec "$here/.venv/bin/python" -P -m actionpipe.stages.chain "$@"
