# Copyright (c) mmreid contributors. All rights reserved.
from .base import PostProcess, check_order, post_process
from .k_reciprocal import KReciprocalRerank
from .query_expansion import QueryExpansion
from .tlift import TLift

__all__ = ['KReciprocalRerank', 'PostProcess', 'QueryExpansion', 'TLift', 'check_order', 'post_process']
