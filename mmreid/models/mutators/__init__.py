# Copyright (c) mmreid contributors. All rights reserved.
from .bn_mutator import BNMutator
from .pruned_state import pruned_state_dict

__all__ = ['BNMutator', 'pruned_state_dict']
