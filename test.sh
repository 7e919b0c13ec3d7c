#!/usr/bin/env bash
# Set-up if missing, then lint, types and tests, as CI runs them. Arguments go to pytest: bash test.sh -m "not slow"
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
bash install.sh
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/python -m pytest "$@"
