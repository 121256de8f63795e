# Copyright (c) mmreid contributors. All rights reserved.
from .camera import CameraSpec
from .cuhk_layout import CUHK03NPPlan
from .domain import DOMAINS, DomainSpec
from .duke_layout import DukePlan
from .identity import ClothingSpec, PersonSpec
from .layout import Job, LayoutPlan
from .llcm_layout import LLCMPlan
from .market_layout import MarketPlan
from .msmt_layout import MSMT17Plan
from .randperson_layout import RandPersonPlan
from .regdb_layout import RegDBPlan
from .sysu_layout import SYSUPlan
from .world import GENERATOR_VERSION, World
from .writer import write_dataset

_PLANS = (MarketPlan, DukePlan, MSMT17Plan, CUHK03NPPlan, SYSUPlan, RegDBPlan, LLCMPlan, RandPersonPlan)
#: The plan of each layout, by its name.
LAYOUTS: dict[str, type[LayoutPlan]] = {plan.LAYOUT: plan for plan in _PLANS}

__all__ = [
    'DOMAINS', 'GENERATOR_VERSION', 'LAYOUTS', 'CUHK03NPPlan', 'CameraSpec', 'ClothingSpec', 'DomainSpec', 'DukePlan',
    'Job', 'LLCMPlan', 'LayoutPlan', 'MSMT17Plan', 'MarketPlan', 'PersonSpec', 'RandPersonPlan', 'RegDBPlan',
    'SYSUPlan', 'World', 'write_dataset',
]  # fmt: skip
