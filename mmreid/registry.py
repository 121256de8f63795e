# Copyright (c) mmreid contributors. All rights reserved.
"""The registries of mmreid.

Every registry is a child of MMPretrain's registry of the same name, so that an unprefixed ``type='ResNet'`` - and the
unprefixed defaults inside MMPretrain's own modules - resolve while the default scope is ``mmreid``. MMEngine's root
registry also knows each under the scope ``mmreid``, so that ``type='mmreid.ImageReID'`` resolves inside any sibling
project (MMDetection, MMPose, ...). It builds its parts in its own scope, so only the outermost type needs the prefix.
"""

from typing import Any

from mmengine.registry import FUNCTIONS as MMENGINE_FUNCTIONS
from mmengine.registry import DefaultScope, Registry
from mmpretrain import registry as _pretrain

__all__ = [
    'BATCH_AUGMENTS',
    'DATASETS',
    'DATA_SAMPLERS',
    'EVALUATORS',
    'FUNCTIONS',
    'HOOKS',
    'LOG_PROCESSORS',
    'LOOPS',
    'METRICS',
    'MODELS',
    'MODEL_WRAPPERS',
    'OPTIMIZERS',
    'OPTIM_WRAPPERS',
    'OPTIM_WRAPPER_CONSTRUCTORS',
    'PARAM_SCHEDULERS',
    'RUNNERS',
    'RUNNER_CONSTRUCTORS',
    'TASK_UTILS',
    'TRANSFORMS',
    'VISBACKENDS',
    'VISUALIZERS',
    'WEIGHT_INITIALIZERS',
]


class ReIDRegistry(Registry):
    """Builds in the scope ``mmreid`` while another project's, such as ``mmpretrain``, is the default."""

    def build(self, cfg: dict, *args: Any, **kwargs: Any) -> Any:
        """Builds an instance; see :meth:`mmengine.registry.Registry.build`."""
        current = DefaultScope.get_current_instance()
        # A project with a registry below this one finds our names from its own scope.
        foreign = current is not None and self._search_child(current.scope_name) is None
        with DefaultScope.overwrite_default_scope('mmreid' if foreign else None):
            return super().build(cfg, *args, **kwargs)


def _child(parent: Registry, *locations: str) -> Registry:
    """Makes mmreid's registry below ``parent`` and adds it to the root registry as well.

    Args:
        parent (Registry): MMPretrain's registry, or MMEngine's where MMPretrain has none.
        *locations (str): Modules imported on the first lookup, after MMPretrain's own, because a registry does not
            import the modules of its parent.
    """
    upstream = parent._locations
    child = ReIDRegistry(parent.name, parent=parent, scope='mmreid', locations=[*upstream, *locations])
    root = parent
    while root.parent is not None:
        root = root.parent
    if root is not parent:
        root._add_child(child)
    return child


RUNNERS = _child(_pretrain.RUNNERS, 'mmreid.engine')
RUNNER_CONSTRUCTORS = _child(_pretrain.RUNNER_CONSTRUCTORS, 'mmreid.engine')
LOOPS = _child(_pretrain.LOOPS, 'mmreid.engine')
HOOKS = _child(_pretrain.HOOKS, 'mmreid.engine')
LOG_PROCESSORS = _child(_pretrain.LOG_PROCESSORS, 'mmreid.engine')
OPTIMIZERS = _child(_pretrain.OPTIMIZERS, 'mmreid.engine')
OPTIM_WRAPPERS = _child(_pretrain.OPTIM_WRAPPERS, 'mmreid.engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(_pretrain.OPTIM_WRAPPER_CONSTRUCTORS, 'mmreid.engine')
PARAM_SCHEDULERS = _child(_pretrain.PARAM_SCHEDULERS, 'mmreid.engine')

DATASETS = _child(_pretrain.DATASETS, 'mmreid.datasets')
DATA_SAMPLERS = _child(_pretrain.DATA_SAMPLERS, 'mmreid.datasets')
TRANSFORMS = _child(_pretrain.TRANSFORMS, 'mmreid.datasets')

MODELS = _child(_pretrain.MODELS, 'mmreid.models')
MODEL_WRAPPERS = _child(_pretrain.MODEL_WRAPPERS, 'mmreid.models')
WEIGHT_INITIALIZERS = _child(_pretrain.WEIGHT_INITIALIZERS, 'mmreid.models')
BATCH_AUGMENTS = _child(_pretrain.BATCH_AUGMENTS, 'mmreid.models')
TASK_UTILS = _child(_pretrain.TASK_UTILS, 'mmreid.models', 'mmreid.evaluation')

METRICS = _child(_pretrain.METRICS, 'mmreid.evaluation')
EVALUATORS = _child(_pretrain.EVALUATORS, 'mmreid.evaluation')

VISUALIZERS = _child(_pretrain.VISUALIZERS, 'mmreid.visualization')
VISBACKENDS = _child(_pretrain.VISBACKENDS, 'mmreid.visualization')

# MMEngine looks up functions (collate, worker seeding) in its root registry only, so ours are registered there.
FUNCTIONS = MMENGINE_FUNCTIONS
