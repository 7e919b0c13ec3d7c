#!/usr/bin/env bash
# Makes .venv from requirements.lock: exact versions, checked by hash. Needs Python 3.11 or newer and nothing else; no
# compiler, no system package. Does nothing when .venv is current. PYTHON=/path/to/python picks the interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# .venv/.installed holds the digest of what .venv was made from; it is written last, so an interrupted set-up is redone.
current=$(cat requirements.lock pyproject.toml install.sh | sha256sum | cut -d' ' -f1)
if [ -x .venv/bin/python ] && [ "$(cat .venv/.installed 2>/dev/null)" = "$current" ]; then
  exit 0
fi

if ! [ -w . ]; then
  echo "install.sh: $PWD cannot be written, and its .venv is missing or out of date; run install.sh where it can be" >&2
  exit 2
fi
python=${PYTHON:-}
if [ -z "$python" ]; then
  for candidate in python3 python3.13 python3.12 python3.11 python; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      python=$candidate
      break
    fi
  done
fi
if [ -z "$python" ]; then
  echo "install.sh: no Python 3.11 or newer found; install one, or name it: PYTHON=/path/to/python bash install.sh" >&2
  exit 2
fi
free=$(df -Pk . | awk 'NR==2 {print int($4 / 1048576)}')
if [ "$free" -lt 8 ]; then
  echo "install.sh: the environment takes about 7 GB, but only ${free} GB are free here; make room and run it again" >&2
  exit 2
fi

step() { printf '[%s/4] %s\n' "$1" "$2"; }
step 1 "new environment .venv ($("$python" --version))"
rm -f .venv/.installed
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
  -r <(awk '/^uv==/ {on = 1} on {print} on && !/\\$/ {exit}' requirements.lock)
step 2 "installing $(grep -cE '^[A-Za-z0-9].*==' requirements.lock) locked packages (about 6 GB, a minute or two on a fast line)"
# OpenMMLab's mmcv comes as source; without torch beside it, as here, its build compiles nothing.
.venv/bin/python -m uv pip sync --python .venv/bin/python --require-hashes --compile-bytecode requirements.lock
step 3 "installing actionpipe itself, editable"
.venv/bin/python -m uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
step 4 "trying it: torch, mmaction2, mmdet; compiling the kernels of training on CPUs"
.venv/bin/python - <<'PYTHON'
import torch
from actionpipe.nn.cpu import norm_kernels
from actionpipe.openmmlab import activation
activation.activate()
norm_kernels.prepare()
import mmaction, mmdet
gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
print(f"ready: torch {torch.__version__}, mmaction2 {mmaction.__version__}, mmdet {mmdet.__version__}, GPUs: {gpus}")
PYTHON
echo "$current" > .venv/.installed
