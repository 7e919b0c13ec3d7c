"""Scores + detections -> DATA/results/final.csv. See: python postprocess.py --help."""

from actionpipe.runtime.environment import ensure

if __name__ == "__main__":
    ensure()
    from actionpipe.stages.postprocess import main

    main()
