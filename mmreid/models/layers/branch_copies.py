# Copyright (c) mmreid contributors. All rights reserved.
"""Layers of any kind that each branch has a copy of, like the two stems of AGW."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .branch_context import BranchContext
from .branch_norm import BranchNorm


class BranchCopies(nn.Module):
    """One copy of a layer per branch; each gets the rows of its branch.

    The weights of the plain layer load into every copy, so pretrained backbones load completely.

    Args:
        layer (nn.Module): The layer, whose rows are images and stay so.
        context (BranchContext): The context of the model that owns it.
    """

    def __init__(self, layer: nn.Module, context: BranchContext) -> None:
        super().__init__()
        self.context = context
        for name in context.names:
            self.add_module(name, copy.deepcopy(layer))
        self._copies_loaded = False

    def align(self) -> None:
        """Gives all copies the weights of the first, so that branches start equal however they were initialized.

        Does nothing once copies were loaded one by one.
        """
        if not self._copies_loaded:
            first, *others = self.children()
            for other in others:
                other.load_state_dict(first.state_dict())

    def forward(self, x: Tensor) -> Tensor:
        """Computes each block of rows with the copy of its branch."""
        sizes = self.context.blocks(x.shape[0])
        if self.context.only is not None:
            return self._modules[self.context.only](x)
        parts = zip(self.children(), x.split(sizes), strict=True)
        return torch.cat([layer(part) for layer, part in parts if len(part)])

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        of_copies = tuple(f'{prefix}{name}.' for name in self.context.names)
        keys = [key for key in state_dict if key.startswith(prefix)]
        plain = [key for key in keys if not key.startswith(of_copies)]
        for key in plain:
            value = state_dict.pop(key)
            for start in of_copies:
                state_dict[start + key.removeprefix(prefix)] = value
        if keys:
            self._copies_loaded = not plain
        super()._load_from_state_dict(state_dict, prefix, *args)


def copy_layers(network: nn.Module, names: Sequence[str], context: BranchContext) -> list[BranchCopies]:
    """Replaces layers of a network by one copy per branch.

    Args:
        network (nn.Module): A backbone, before it is initialized, wrapped or optimized; changed in place.
        names (Sequence[str]): Names of its layers, e.g. ``('conv1', 'bn1')``.
        context (BranchContext): The context of the model.

    Returns:
        list[BranchCopies]: The new layers.

    Raises:
        ValueError: If there is no layer of a name, it is named twice or inside another one, or it has branch norms,
            which have branches already.
    """
    layers = dict(network.named_modules())
    replaced = []
    for name in names:
        if name not in layers or not name:
            raise ValueError(f'the backbone has no layer {name!r} to copy for each branch; it has {_shown(layers)}')
        inside = [other for other in names if other.startswith(f'{name}.')]
        if inside or list(names).count(name) > 1:
            raise ValueError(f'the layer {[*inside, name][0]!r} is copied with {name!r} already; name it once')
        if any(isinstance(module, BranchNorm) for module in layers[name].modules()):
            raise ValueError(
                f'the layer {name!r} has branch norms, which a model splits with arch; name layers without them, or '
                'give the backbone plain norms'
            )
        parent, _, own_name = name.rpartition('.')
        replaced.append(BranchCopies(layers[name], context))
        setattr(layers[parent], own_name, replaced[-1])
    return replaced


def _shown(layers: dict[str, nn.Module]) -> str:
    return ', '.join(name for name in layers if name and '.' not in name)
