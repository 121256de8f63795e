# Copyright (c) mmreid contributors. All rights reserved.
from .reid_data_sample import ReIDDataSample, stack_field

__all__ = ['ReIDDataSample', 'stack_field']
