"""A labelled copy of a video: what was found in its windows drawn on every frame, its sound kept."""
