"""The commands: one module per script at the top, a typed function behind a thin command line."""

from actionpipe.runtime import stopping

stopping.quiet_start()
