"""The commands: one module per script at the top, a typed function behind a thin command line."""

from actionpipe import stopping

stopping.quiet_start()
