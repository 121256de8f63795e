# Copyright (c) mmreid contributors. All rights reserved.
"""Builds several optimizers for one model, each with its own modules."""

import copy

from mmengine.optim import OptimWrapperDict, build_optim_wrapper
from torch import nn

from mmreid.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmreid.utils.unwrap_model import unwrap_model


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MultiOptimWrapperConstructor:
    """Builds an optimizer wrapper for each group of modules, such as weights and architecture, or two networks.

    Every entry that has an ``optimizer`` is a wrapper, written as for one optimizer (``paramwise_cfg`` and
    ``constructor`` included), with ``modules``: names of the modules it owns, dotted for inner ones. One entry may omit
    ``modules`` and owns the rest. Other entries, such as the ``type`` that ``tools/train.py --amp`` sets, apply to all
    wrappers.

    Args:
        optim_wrapper_cfg (dict): The ``optim_wrapper`` of the config, without ``constructor``.
        paramwise_cfg (dict, optional): Refused here; it belongs in the entries. Defaults to None.

    Raises:
        ValueError: If there is no wrapper, or ``paramwise_cfg`` is given here.

    Examples:
        >>> optim_wrapper = dict(
        >>>     constructor='MultiOptimWrapperConstructor',
        >>>     weights=dict(optimizer=dict(type='Adam', lr=1e-3)),
        >>>     arch=dict(optimizer=dict(type='Adam', lr=1e-2), modules=['mutator']),
        >>> )
    """

    container: type[OptimWrapperDict] = OptimWrapperDict

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        cfg = copy.deepcopy(dict(optim_wrapper_cfg))
        names = [name for name, entry in cfg.items() if isinstance(entry, dict) and 'optimizer' in entry]
        if not names:
            raise ValueError(
                f'{type(self).__name__} found no wrapper among {", ".join(cfg) or "no entries"} of '
                'optim_wrapper; write one with an optimizer for each, e.g. '
                "arch=dict(optimizer=dict(type='Adam', lr=0.01), modules=['mutator'])"
            )
        if paramwise_cfg is not None:
            raise ValueError(f'paramwise_cfg belongs in one of the wrappers {", ".join(names)} of optim_wrapper')
        shared = {name: entry for name, entry in cfg.items() if name not in names}
        self.entries = {name: {**cfg[name], **shared} for name in names}

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """Builds the wrappers of a model, wrapped or not; see :func:`assign` for the errors."""
        model = unwrap_model(model)
        parameters = [name for name, _ in model.named_parameters()]
        modules = {name: entry.pop('modules', None) for name, entry in copy.deepcopy(self.entries).items()}
        owned = assign(parameters, modules)
        wrappers = {}
        for name, entry in self.entries.items():
            cfg = copy.deepcopy({key: value for key, value in entry.items() if key != 'modules'})
            cfg.setdefault('type', 'OptimWrapper')
            wrappers[name] = build_optim_wrapper(part_of(model, owned[name]), cfg)
        return self.container(**wrappers)


def assign(parameters: list[str], modules: dict[str, str | list[str] | None]) -> dict[str, set[str]]:
    """Assigns every parameter to one wrapper.

    Args:
        parameters (list[str]): Names of all parameters.
        modules (dict[str, str | list[str] | None]): Names of the modules of each wrapper; None for the rest.

    Returns:
        dict[str, set[str]]: Names of the parameters of each wrapper.

    Raises:
        ValueError: If a name matches no parameter, or a parameter is in two wrappers or in none.
    """
    owned: dict[str, set[str]] = {}
    for wrapper, names in modules.items():
        owned[wrapper] = set()
        for name in [names] if isinstance(names, str) else names or []:
            fitting = {entry for entry in parameters if f'{entry}.'.startswith(f'{name}.')}
            if not fitting:
                parts = ', '.join(dict.fromkeys(entry.split('.')[0] for entry in parameters))
                raise ValueError(
                    f"optim_wrapper.{wrapper} names the module '{name}', in which the model has no parameter; its "
                    f'modules with parameters are {parts}'
                )
            for other, taken in owned.items():
                if other != wrapper and taken & fitting:
                    raise ValueError(
                        f'optim_wrapper.{wrapper} and optim_wrapper.{other} both own {sorted(taken & fitting)[0]}; '
                        'each parameter must be in one'
                    )
            owned[wrapper] |= fitting
    left = [entry for entry in parameters if not any(entry in taken for taken in owned.values())]
    takers = [wrapper for wrapper, names in modules.items() if names is None]
    if len(takers) > 1:
        raise ValueError(f'{" and ".join(takers)} of optim_wrapper have no modules; only one may own the rest')
    if takers:
        owned[takers[0]] = set(left)
    elif left:
        raise ValueError(
            f'{len(left)} parameters are in none of the wrappers {", ".join(modules)} of optim_wrapper, the first is '
            f'{left[0]}; add its module to one, or leave the modules of one out, so that it owns the rest'
        )
    empty = [wrapper for wrapper, taken in owned.items() if not taken]
    if empty:
        raise ValueError(f'optim_wrapper.{empty[0]} is left without a parameter; give it modules')
    return owned


def part_of(module: nn.Module, owned: set[str], prefix: str = '') -> nn.Module:
    """Returns the part of a module tree that has some of its parameters, under the same names.

    Args:
        module (nn.Module): The tree.
        owned (set[str]): Names of the wanted parameters.
        prefix (str): Name of ``module`` with a dot, empty for the root. Defaults to ''.

    Returns:
        nn.Module: ``module`` itself if all of its parameters are wanted, else a shell with those that are.
    """
    names = {prefix + name for name, _ in module.named_parameters()}
    if names <= owned:
        return module
    shell = nn.Module()
    for name, parameter in module.named_parameters(recurse=False):
        if prefix + name in owned:
            shell.register_parameter(name, parameter)
    for name, child in module.named_children():
        if any(prefix + f'{name}.{inner}' in owned for inner, _ in child.named_parameters()):
            shell.add_module(name, part_of(child, owned, f'{prefix}{name}.'))
    return shell
