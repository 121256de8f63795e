# Copyright (c) mmreid contributors. All rights reserved.
"""Selects the weights of a training checkpoint that are published."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from torch import Tensor

#: State entries that are useful only to the run that made them: features of its training images, and what a loss stores
#: about its identities. A module with such an entry adds the name here, with ``*`` as a wildcard. Classifiers stay,
#: because training can continue from them on the same data.
TRAINING_ENTRIES = (
    '*memory.features',
    'head.memory.labels',
    'head.*.centers',
    'head.*.class_memory',
    'head.*.valid_class',
)


def published_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the entries of a state dict that match no pattern of :data:`TRAINING_ENTRIES`, on the CPU."""
    return {
        key: value.detach().cpu()
        for key, value in state.items()
        if not any(fnmatchcase(key, pattern) for pattern in TRAINING_ENTRIES)
    }
