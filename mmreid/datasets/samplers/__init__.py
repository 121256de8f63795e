# Copyright (c) mmreid contributors. All rights reserved.
from .class_chooser import RandomClassChooser
from .identity_batch_sampler import IdentityBatchSampler
from .instance_drawer import KInstanceDrawer

__all__ = ['IdentityBatchSampler', 'KInstanceDrawer', 'RandomClassChooser']
