#!/usr/bin/env bash
# Scores the test clips, detects and fuses into DATA/results/final.csv on N GPUs; 0 is the CPU.   bash inference.sh 4
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bash "$here/install.sh"
exec "$here/.venv/bin/python" -P -m actionpipe.stages.inference "$@"
