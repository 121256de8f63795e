# Copyright (c) mmreid contributors. All rights reserved.
from .class_chooser import RandomClassChooser
from .cmnas_identity_stream import CMNASIdentityStream
from .cross_modality_drawer import CrossModalityDrawer
from .domain_balanced_chooser import DomainBalancedClassChooser
from .domain_view import DomainView
from .fixed_length_batch_sampler import FixedLengthBatchSampler
from .graph_class_chooser import GraphClassChooser
from .identity_batch_sampler import IdentityBatchSampler
from .instance_drawer import KInstanceDrawer
from .multi_domain_batch_sampler import MultiDomainBatchSampler
from .qaconv_graph_stream import QAConvGraphStream
from .random_image_batch_sampler import RandomImageBatchSampler
from .repeated_image_batch_sampler import RepeatedImageBatchSampler

__all__ = [
    'CMNASIdentityStream',
    'CrossModalityDrawer',
    'DomainBalancedClassChooser',
    'DomainView',
    'FixedLengthBatchSampler',
    'GraphClassChooser',
    'IdentityBatchSampler',
    'KInstanceDrawer',
    'MultiDomainBatchSampler',
    'QAConvGraphStream',
    'RandomClassChooser',
    'RandomImageBatchSampler',
    'RepeatedImageBatchSampler',
]
