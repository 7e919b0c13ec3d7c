"""A labelled copy of a video: windows scored on clean frames, and what was found drawn on every frame."""
