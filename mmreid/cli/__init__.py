# Copyright (c) mmreid contributors. All rights reserved.
"""The command ``mmreid``: one name for the tools, in a checkout and after ``pip install``."""
