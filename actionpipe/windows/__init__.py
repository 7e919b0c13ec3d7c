"""Videos cut into windows of time, and what a recogniser says of each."""
