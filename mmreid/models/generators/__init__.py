# Copyright (c) mmreid contributors. All rights reserved.
from .camstyle_gan import CamStyleGAN
from .gradient_penalty import gradient_penalty
from .rendering import render, rendering_pipeline
from .stargan import StarGANDiscriminator, StarGANGenerator

__all__ = [
    'CamStyleGAN',
    'StarGANDiscriminator',
    'StarGANGenerator',
    'gradient_penalty',
    'render',
    'rendering_pipeline',
]
