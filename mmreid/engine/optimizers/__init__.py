# Copyright (c) mmreid contributors. All rights reserved.
from .amp_optim_wrapper import AmpOptimWrapper
from .joint_optim_wrapper import JointOptimWrapper, JointOptimWrapperConstructor
from .multi_optim_wrapper_constructor import MultiOptimWrapperConstructor

__all__ = [
    'AmpOptimWrapper',
    'JointOptimWrapper',
    'JointOptimWrapperConstructor',
    'MultiOptimWrapperConstructor',
]
