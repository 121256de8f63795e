# Copyright (c) mmreid contributors. All rights reserved.
"""Which branch norms of a network are shared and which are split: found, attached, set and read by layer name."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from torch import nn

from mmreid.utils.arch_io import STATES

from .branch_context import BranchContext
from .branch_norm import BranchNorm
from .recompute import register_checkpoint


def branch_norms(network: nn.Module) -> dict[str, BranchNorm]:
    """Returns the branch norms of a network by layer name, in the order of construction."""
    return {name: module for name, module in network.named_modules() if isinstance(module, BranchNorm)}


def attach_branches(backbone: nn.Module, context: BranchContext) -> dict[str, BranchNorm]:
    """Connects the branch norms of a backbone, and its gradient checkpoints, to the model that owns it.

    Args:
        backbone (nn.Module): A backbone, before it is initialized, wrapped or optimized.
        context (BranchContext): The context of the model.

    Returns:
        dict[str, BranchNorm]: See :func:`branch_norms`.

    Raises:
        ValueError: If a norm was built for other branches.
    """
    norms = branch_norms(backbone)
    for norm in norms.values():
        norm.attach(context)
    # with_cp is MMPretrain's name for it; backbones without that option do not have the attribute.
    if norms and any(getattr(module, 'with_cp', False) for module in backbone.modules()):
        register_checkpoint()
    return norms


def resolve_arch(arch: str | Mapping[str, str], names: list[str]) -> dict[str, str]:
    """Expands an architecture as configs write it to one state per layer.

    Args:
        arch (str | Mapping[str, str]): ``'share'`` or ``'split'`` for all; or a state for each layer name or pattern
            with ``*``, where later entries override earlier ones: ``{'*': 'share', 'layer1.*': 'split'}``.
        names (list[str]): The layers of the network.

    Returns:
        dict[str, str]: State of each layer, in the order of ``names``.

    Raises:
        ValueError: If ``arch`` is not an architecture, a state is unknown, an entry matches no layer, or a layer has
            no entry; all of them are listed.
    """
    if not isinstance(arch, (str, Mapping)):
        raise ValueError(
            f"arch={arch!r} is not an architecture; give 'share', 'split', an arch.json, or a state per layer name"
        )
    entries = {'*': arch} if isinstance(arch, str) else dict(arch)
    entries.pop('_delete_', None)  # MMEngine leaves it in a config that had nothing to delete
    for name, state in entries.items():
        if state not in STATES:
            raise ValueError(f"the architecture gives {name} the state {state!r}; use 'share' or 'split'")
    resolved: dict[str, str] = {}
    extra = []
    for pattern, state in entries.items():
        matching = [name for name in names if fnmatchcase(name, pattern)]
        if not matching:
            extra.append(pattern)
        resolved.update(dict.fromkeys(matching, state))
    missing = [name for name in names if name not in resolved]
    if extra or missing:
        raise ValueError(
            f'the architecture does not fit the backbone, which has {len(names)} branch norms'
            + (f'; without a layer: {", ".join(extra)}' if extra else '')
            + (f'; without an entry: {", ".join(missing)}' if missing else '')
            + '. Give the architecture that was searched for this backbone, or write its norm_cfg as '
            "dict(type='mmreid.BranchBN2d')"
        )
    return {name: resolved[name] for name in names}


def apply_arch(network: nn.Module, arch: str | Mapping[str, str]) -> dict[str, str]:
    """Sets the states of the branch norms of a network.

    Args:
        network (nn.Module): A backbone with attached norms, before it is initialized, wrapped or optimized.
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
