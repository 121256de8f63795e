# Copyright (c) mmreid contributors. All rights reserved.
"""A small procedural world for tests."""

from mmreid.datasets.synthetic import World


def small_world(**kwargs) -> World:
    return World(**(dict(seed=3, cameras=3, size=(64, 32)) | kwargs))
