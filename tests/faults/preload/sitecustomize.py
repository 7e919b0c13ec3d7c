"""Imported by every Python that has this folder on its PYTHONPATH: a process of a stage that may be killed."""

import fault_events

fault_events.install_from_environment()
