# Copyright (c) mmreid contributors. All rights reserved.
"""The weights of a searched network that belong to the architecture it chose."""

from torch import Tensor, nn

from mmreid.models.layers.branch_norm import BRANCHES


def pruned_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """Leaves the branches that were not chosen, and the mutator, out of the weights; the model stays as it is.

    Args:
        model (nn.Module): A ``CrossModalReID`` with a mutator, unwrapped.

    Returns:
        dict[str, Tensor]: Weights on the CPU that fit ``CrossModalReID(arch=model.mutator.choices())`` exactly.
    """
    dropped = ['mutator.']
    for name, state in model.mutator.choices().items():
        dropped += [f'backbone.{name}.{branch}.' for branch in BRANCHES['search'] if branch not in BRANCHES[state]]
    return {key: value.cpu() for key, value in model.state_dict().items() if not key.startswith(tuple(dropped))}
