# Copyright (c) mmreid contributors. All rights reserved.
from .camera import CameraSpec
from .domain import DOMAINS, DomainSpec
from .identity import ClothingSpec, PersonSpec
from .market_layout import MarketPlan
from .market_writer import write_market1501
from .world import GENERATOR_VERSION, World

__all__ = [
    'DOMAINS', 'GENERATOR_VERSION', 'CameraSpec', 'ClothingSpec', 'DomainSpec', 'MarketPlan', 'PersonSpec', 'World',
    'write_market1501',
]  # fmt: skip
