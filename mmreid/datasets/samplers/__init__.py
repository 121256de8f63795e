# Copyright (c) mmreid contributors. All rights reserved.
from .cmnas_reference_sampler import CMNASReferenceSampler
from .cross_modality_instance_sampler import CrossModalityInstanceSampler
from .dataloader_samplers import reseed, samplers_of, set_epoch
from .domain_balanced_identity_sampler import DomainBalancedIdentitySampler
from .domain_view import DomainView
from .fixed_length_batch_sampler import FixedLengthBatchSampler
from .graph_identity_sampler import GraphIdentitySampler
from .graph_sampler import GraphSampler
from .identity_batch_sampler import IdentityBatchSampler
from .identity_sampler import IdentitySampler
from .k_instance_sampler import KInstanceSampler
from .multi_domain_batch_sampler import MultiDomainBatchSampler
from .multi_gallery_batch_sampler import MultiGalleryBatchSampler
from .pseudo_label_sampler import PseudoLabelSampler
from .qaconv_reference_sampler import QAConvReferenceSampler
from .random_identity_sampler import RandomIdentitySampler
from .random_image_batch_sampler import RandomImageBatchSampler
from .reid_batch_sampler import ReIDBatchSampler
from .repeated_image_batch_sampler import RepeatedImageBatchSampler

__all__ = [
    'CMNASReferenceSampler',
    'CrossModalityInstanceSampler',
    'DomainBalancedIdentitySampler',
    'DomainView',
    'FixedLengthBatchSampler',
    'GraphIdentitySampler',
    'GraphSampler',
    'IdentityBatchSampler',
    'IdentitySampler',
    'KInstanceSampler',
    'MultiDomainBatchSampler',
    'MultiGalleryBatchSampler',
    'PseudoLabelSampler',
    'QAConvReferenceSampler',
    'RandomIdentitySampler',
    'RandomImageBatchSampler',
    'ReIDBatchSampler',
    'RepeatedImageBatchSampler',
    'reseed',
    'samplers_of',
    'set_epoch',
]
