# Copyright (c) mmreid contributors. All rights reserved.
"""Makes mmreid known to MMEngine: its modules to the registries, its configs to ``mmreid::...`` paths."""

import warnings
from importlib import import_module

from .import_guard import check_dependencies

__all__ = ['prepare', 'register_all_modules', 'register_config_package']

_ROOMS = ('datasets', 'engine', 'evaluation', 'models', 'structures', 'visualization')


def register_all_modules(init_default_scope: bool = True) -> None:
    """Registers every module of mmreid, and by default makes ``mmreid`` the default scope.

    From then on, weights are read without running code (:func:`mmreid.utils.weight_sources.use_safe_loaders`), and
    ``torch.load(weights_only=True)`` reads MMEngine's checkpoints (:mod:`mmreid.utils.compat`).

    MMEngine calls this function by its name, in ``mmengine.hub.get_model`` and for registries without a location.

    Args:
        init_default_scope (bool): Whether to make ``mmreid`` the current default scope, in which unprefixed
            ``type='...'`` names are looked up. Defaults to True.
    """
    for room in _ROOMS:
        import_module(f'mmreid.{room}')
    # Imported here, because both import what a plain `import mmreid` does not need.
    import_module('mmreid.utils.compat').register_safe_globals()
    import_module('mmreid.utils.weight_sources').use_safe_loaders()

    if not init_default_scope:
        return
    from mmengine.registry import init_default_scope as set_default_scope

    set_default_scope('mmreid')


def prepare() -> None:
    """Checks the versions of MMEngine, MMCV and MMPretrain, and makes ``mmreid::...`` paths known to MMEngine."""
    # mmcv-lite says at every start that it lacks compiled operators, none of which is used here.
    warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')
    check_dependencies()
    register_config_package()


def register_config_package() -> None:
    """Lets ``_base_ = 'mmreid::...'`` and ``mmengine.hub.get_config('mmreid::...')`` find the configs."""
    # MMEngine knows only the packages in this table. It expects the name of a distribution and takes the folder
    # <site-packages>/<name>, which does not exist after an editable install. A name that is no distribution is located
    # as a module by the folder of its file, which is right after every kind of install.
    from mmengine.config.utils import MODULE2PACKAGE

    MODULE2PACKAGE.setdefault('mmreid', 'mmreid.version')
