# Copyright (c) mmreid contributors. All rights reserved.
"""Checks the hooks of a config before they are built."""

import difflib
from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook

# MMEngine's hooks under these names unless the config says otherwise; None removes one.
DEFAULT_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
RULES = ('greater', 'less', None)  # which value of a metric is the best


def check_default_hooks(hooks: Mapping[str, Any]) -> None:
    """Raises a ValueError for misspelled names in ``default_hooks``, entries that are not hooks, and unknown rules."""
    for name, hook in hooks.items():
        near = difflib.get_close_matches(name, DEFAULT_HOOKS, 1, 0.85)
        if name not in DEFAULT_HOOKS and near:
            raise ValueError(
                f"default_hooks.{name} would be one more hook beside '{near[0]}'; did you mean "
                f'default_hooks.{near[0]}? Hooks of your own go into custom_hooks'
            )
        if hook is None and name not in DEFAULT_HOOKS:
            raise ValueError(
                f'default_hooks.{name}=None removes nothing; None is for one of {", ".join(DEFAULT_HOOKS)}'
            )
        if hook is not None:
            _check_hook(hook, f'default_hooks.{name}')
        if name == 'checkpoint' and isinstance(hook, Mapping):
            _check_rule(hook)


def check_custom_hooks(hooks: Any) -> None:
    """Raises a ValueError unless ``custom_hooks`` is a list of hooks."""
    if not isinstance(hooks, list | tuple | None):
        raise ValueError(f"custom_hooks={hooks!r} must be a list; write it in a config as [dict(type='...', ...)]")
    for number, hook in enumerate(hooks or ()):
        _check_hook(hook, f'custom_hooks.{number}')


def _check_rule(hook: Mapping[str, Any]) -> None:
    """Checks the rules that say which metrics of ``save_best`` are better when greater: one for all, or one each."""
    rule, best = hook.get('rule'), hook.get('save_best')
    rules = rule if isinstance(rule, (list, tuple)) else [rule]
    if not isinstance(rule, (list, str, type(None))) or any(each not in RULES for each in rules):
        raise ValueError(
            f"default_hooks.checkpoint.rule={rule!r} must be 'greater', 'less' or None, or a list of these for the "
            'metrics of save_best'
        )
    metrics = len(best) if isinstance(best, list) else 1
    if isinstance(rule, list) and len(rule) not in (1, metrics):
        raise ValueError(
            f'default_hooks.checkpoint.rule={rule!r} has {len(rule)} rules for {metrics} metrics of '
            f'save_best={best!r}; give one for all or one for each'
        )


def _check_hook(hook: Any, place: str) -> None:
    if not isinstance(hook, Hook) and not (isinstance(hook, Mapping) and 'type' in hook):
        raise ValueError(f"{place}={hook!r} is not a hook; write it in a config as dict(type='...', ...)")
