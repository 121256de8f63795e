# Copyright (c) mmreid contributors. All rights reserved.
"""Helpers that belong to no single room. Heavy ones are imported from their own module, to keep this import light."""

from .setup_env import register_all_modules

__all__ = ['register_all_modules']
