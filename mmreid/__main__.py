# Copyright (c) mmreid contributors. All rights reserved.
"""``python -m mmreid`` is the command ``mmreid``."""

from mmreid.cli.command import main

if __name__ == '__main__':
    main()
