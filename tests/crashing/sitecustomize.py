"""Imported by every Python that has this folder on its PYTHONPATH: one in which FFmpeg crashes on some videos."""

import crash_on_open

crash_on_open.install_from_environment()
