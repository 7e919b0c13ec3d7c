#!/usr/bin/env python3
"""Tables to folds, list files and COCO files: python preprocess.py --data data (see --help)."""

if __name__ == "__main__":
    from actionpipe.runtime import environment

    environment.ensure()

    from actionpipe.stages.preprocess import main

    main()
