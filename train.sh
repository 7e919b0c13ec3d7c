#!/usr/bin/env bash
# Trains every member of the ensemble and the detector on N GPUs; 0 is the CPU.   bash train.sh 4   bash train.sh --help
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bash "$here/install.sh"
exec "$here/.venv/bin/python" -P -m actionpipe.stages.train "$@"
