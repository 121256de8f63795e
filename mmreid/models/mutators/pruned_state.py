# Copyright (c) mmreid contributors. All rights reserved.
"""The weights of a searched network that belong to the architecture it chose."""

from torch import Tensor, nn

from mmreid.models.layers.branch_norm import norm_names


def pruned_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """Returns the weights without the mutator and the branches that were not chosen; the model stays as it is.

    Args:
        model (nn.Module): A ``CrossModalReID`` with a mutator, unwrapped.

    Returns:
        dict[str, Tensor]: Weights on the CPU that fit ``CrossModalReID(arch=model.mutator.choices())`` exactly.
    """
    dropped = ['mutator.']
    branches = model.branches.names
    for name, state in model.mutator.choices().items():
        unused = set(norm_names('search', branches)) - set(norm_names(state, branches))
        dropped += [f'backbone.{name}.{norm}.' for norm in unused]
    return {key: value.cpu() for key, value in model.state_dict().items() if not key.startswith(tuple(dropped))}
