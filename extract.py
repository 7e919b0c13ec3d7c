#!/usr/bin/env python3
"""Videos to frames and a manifest: python extract.py --dir VIDEOS --output-root data/train_raw_frame (see --help)."""

if __name__ == "__main__":
    from actionpipe.runtime import environment

    environment.ensure()

    from actionpipe.stages.extract import main

    main()
