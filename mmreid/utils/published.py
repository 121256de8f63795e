# Copyright (c) mmreid contributors. All rights reserved.
"""What of a training checkpoint is given to others."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from torch import Tensor

#: State entries that only the run that made them can use: features of its training images, and what a loss keeps of its
#: identities. A module that keeps such an entry adds its name here, with ``*`` where it may stand. Classifiers stay:
#: whoever trains on with the same data needs them.
TRAINING_ENTRIES = ('*memory.features', 'head.*.centers', 'head.*.class_memory', 'head.*.valid_class')


def published_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leaves out what only the training needs.

    Args:
        state (Mapping[str, Tensor]): A state dict.

    Returns:
        dict[str, Tensor]: The entries that no pattern of :data:`TRAINING_ENTRIES` fits, on the CPU.
    """
    return {
        key: value.detach().cpu()
        for key, value in state.items()
        if not any(fnmatchcase(key, pattern) for pattern in TRAINING_ENTRIES)
    }
