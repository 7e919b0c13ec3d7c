"""Processes and the machine they run on: devices, precision, work queues, progress, and how they end."""
