"""Training one model: a member or the detector, on one fold."""
