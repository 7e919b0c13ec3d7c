"""Heads that mmaction2 and mmdet lack, or that are faster here."""
