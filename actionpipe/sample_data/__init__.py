"""The embedded sample: a generator of small street clips with labels and boxes."""
