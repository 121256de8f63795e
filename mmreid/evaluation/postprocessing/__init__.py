# Copyright (c) mmreid contributors. All rights reserved.
from .base import PostProcess, as_steps, post_process
from .k_reciprocal import KReciprocalRerank
from .query_expansion import QueryExpansion
from .tlift import TLift

__all__ = ['KReciprocalRerank', 'PostProcess', 'QueryExpansion', 'TLift', 'as_steps', 'post_process']
