"""The kinds of fusion rules, one a module, and how they are applied one after another.

Importing any module of this package registers the kinds below; ``base.register`` takes more.
"""

from actionpipe.competition.rules import detect, distrust, prefer

__all__ = ["detect", "distrust", "prefer"]
