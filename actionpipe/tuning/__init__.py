"""The search for what of the fusion helps: on out-of-fold predictions, judged on clips that it was not fitted on."""

CONFIDENCE = 0.975
"""A part that was fitted, or that overrules, stays when it gains in more than this share of the bootstrap samples: then
the 95% interval of its gain lies above 0."""
