#!/usr/bin/env bash
# Set-up if missing, then lint, types and tests, as CI runs them, a test process on each core. Arguments go to pytest:
# bash test.sh -m "not slow"
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
bash install.sh
# The report is looked at in a real browser. Where there is none and Debian's can be had, it is installed; else those
# tests are skipped and say so.
if ! command -v chromium chromium-browser google-chrome >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; } >/dev/null 2>&1 \
    || echo "test.sh: no browser could be installed; the tests of the report's page are skipped" >&2
fi
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/lint-imports --no-cache
.venv/bin/mypy
# A file's tests stay together: they share what its fixtures have trained. Files come in the order of tests/conftest.py.
.venv/bin/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder "$@"
