# Copyright (c) mmreid contributors. All rights reserved.
"""Which modality norms of a network are shared and which are split: found, applied and read back by layer name."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from torch import nn

from mmreid.utils.arch_io import STATES

from .branch_norm import BranchNorm


def branch_norms(network: nn.Module) -> dict[str, BranchNorm]:
    """Finds the modality norms of a network.

    Args:
        network (nn.Module): A backbone.

    Returns:
        dict[str, BranchNorm]: By layer name, in the order of construction.
    """
    return {name: module for name, module in network.named_modules() if isinstance(module, BranchNorm)}


def resolve_arch(arch: str | Mapping[str, str], names: list[str]) -> dict[str, str]:
    """Turns a written architecture into one state a layer.

    Args:
        arch (str | Mapping[str, str]): ``'share'`` or ``'split'`` for all; or layer names or patterns with ``*`` to
            states, where a later entry overrides an earlier one: ``{'*': 'share', 'layer1.*': 'split'}``.
        names (list[str]): The layers that there are.

    Returns:
        dict[str, str]: State of each layer, in the order of ``names``.

    Raises:
        ValueError: If it is no architecture, a state is unknown, an entry fits no layer, or a layer has no entry; all
            are listed.
    """
    if not isinstance(arch, (str, Mapping)):
        raise ValueError(
            f"arch={arch!r} is no architecture; give 'share', 'split', an arch.json, or layer names with their states"
        )
    entries = {'*': arch} if isinstance(arch, str) else dict(arch)
    entries.pop('_delete_', None)  # MMEngine leaves it in a config that had nothing to delete
    for name, state in entries.items():
        if state not in STATES:
            raise ValueError(f"the architecture gives {name} the state {state!r}; use 'share' or 'split'")
    resolved: dict[str, str] = {}
    extra = []
    for pattern, state in entries.items():
        fitting = [name for name in names if fnmatchcase(name, pattern)]
        if not fitting:
            extra.append(pattern)
        resolved.update(dict.fromkeys(fitting, state))
    missing = [name for name in names if name not in resolved]
    if extra or missing:
        raise ValueError(
            f'the architecture does not fit the backbone, which has {len(names)} modality norms'
            + (f'; without a layer: {", ".join(extra)}' if extra else '')
            + (f'; without an entry: {", ".join(missing)}' if missing else '')
            + '. Give the architecture that was searched for this backbone, or write its norm_cfg as '
            "dict(type='mmreid.BranchBN2d')"
        )
    return {name: resolved[name] for name in names}


def apply_arch(network: nn.Module, arch: str | Mapping[str, str]) -> dict[str, str]:
    """Puts the modality norms of a network into their states.

    Args:
        network (nn.Module): A backbone, before it is initialized, wrapped or optimized.
        arch (str | Mapping[str, str]): See :func:`resolve_arch`.

    Returns:
        dict[str, str]: State of each layer.

    Raises:
        ValueError: If the architecture does not fit the network.
    """
    norms = branch_norms(network)
    resolved = resolve_arch(arch, list(norms))
    for name, state in resolved.items():
        norms[name].set_mode(state)
    return resolved
