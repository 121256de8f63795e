# Copyright (c) mmreid contributors. All rights reserved.
from .class_chooser import RandomClassChooser
from .cmnas_identity_stream import CMNASIdentityStream
from .cross_modality_drawer import CrossModalityDrawer
from .domain_balanced_chooser import DomainBalancedClassChooser
from .domain_view import DomainView
from .identity_batch_sampler import IdentityBatchSampler
from .instance_drawer import KInstanceDrawer
from .multi_domain_batch_sampler import MultiDomainBatchSampler
from .random_image_batch_sampler import RandomImageBatchSampler

__all__ = [
    'CMNASIdentityStream',
    'CrossModalityDrawer',
    'DomainBalancedClassChooser',
    'DomainView',
    'IdentityBatchSampler',
    'KInstanceDrawer',
    'MultiDomainBatchSampler',
    'RandomClassChooser',
    'RandomImageBatchSampler',
]
