# Copyright (c) mmreid contributors. All rights reserved.
"""The version of mmreid, read by ``setup.py`` without importing the package."""

__version__ = '0.1.0'
