# Copyright (c) mmreid contributors. All rights reserved.
"""Logs the progress of an architecture search."""

from collections import defaultdict

from mmengine.hooks import Hook
from terminaltables import AsciiTable

from mmreid.models.mutators import BNMutator
from mmreid.models.reid import BaseReID
from mmreid.registry import HOOKS
from mmreid.utils.unwrap_model import unwrap_model


@HOOKS.register_module()
class ArchLogHook(Hook):
    """Logs the logits, their entropy, the fraction of shared norms and the architecture after each epoch of a search.

    The log file, and at the end the console, gets a table with one row per stage. It shows one letter per norm, in the
    order of construction: ``S`` for split and ``-`` for share; ``s`` and ``~`` if the probability is below 0.6. The
    visualizer gets ``arch/entropy`` and ``arch/share_ratio`` of the network and of each stage, and
    ``arch/p_split/<norm>``.

    Args:
        interval (int): Epochs between two reports. Defaults to 1.

    Raises:
        ValueError: If ``interval`` is not positive.
    """

    def __init__(self, interval: int = 1) -> None:
        if interval < 1:
            raise ValueError(f'interval={interval} of ArchLogHook must be at least 1')
        self.interval = interval

    def after_train_epoch(self, runner) -> None:
        """Logs the table and sends the scalars to the visualizer."""
        if not self.every_n_epochs(runner, self.interval) and not self.is_last_train_epoch(runner):
            return
        mutator = mutator_of(runner)
        scalars, last = arch_scalars(mutator), self.is_last_train_epoch(runner)
        title = f'architecture after epoch {runner.epoch + 1}{", fixed" if mutator.frozen else ""}'
        runner.logger.info(f'{title}\n{arch_table(mutator)}', extra=dict(bulky=not last))
        if not last:
            shared, entropy = scalars['arch/share_ratio'], scalars['arch/entropy']
            runner.logger.info(f'{title}: {shared:.0%} of the norms are shared, entropy {entropy:.3f}')
        runner.visualizer.add_scalars(scalars, step=runner.epoch + 1)


def mutator_of(runner) -> BNMutator:
    """Returns the mutator of the runner's model; raises ValueError if there is none."""
    model = unwrap_model(runner.model)
    if not isinstance(model, BaseReID) or model.mutator is None:
        raise ValueError(
            f'{type(model).__name__} has no mutator, so there is no architecture to log or to freeze; remove '
            "ArchLogHook and ArchFreezeHook, or set model.mutator=dict(type='BNMutator')"
        )
    return model.mutator


def stage_of(name: str) -> str:
    """Names the stage of a layer: ``'layer1'`` for ``'layer1.0.bn1'``, ``'stages.0'`` for ``'stages.0.1.norm'``."""
    parts = name.split('.')
    return '.'.join(parts[: 2 if parts[0] == 'stages' else 1])


def arch_table(mutator: BNMutator) -> str:
    """Formats the architecture as a table with one row per stage."""
    choices, p_split, entropy = _facts(mutator)
    gaps = (mutator.logits[:, 0] - mutator.logits[:, 1]).tolist()
    rows = []
    for stage, places in [*_stages(mutator.names).items(), ('all', range(len(mutator.names)))]:
        letters = ''.join(_letter(choices[place], p_split[place]) for place in places)
        ratio = sum(choices[place] == 'share' for place in places) / len(places)
        own = [gaps[place] for place in places]
        rows.append(
            [
                stage,
                f'{ratio:.2f}',
                f'{sum(entropy[place] for place in places) / len(places):.3f}',
                f'{min(own):+.2f} .. {max(own):+.2f}',
                '' if stage == 'all' else letters,
            ]
        )
    return AsciiTable([['stage', 'shared', 'entropy', 'logit split - share', 'norms'], *rows]).table


def arch_scalars(mutator: BNMutator) -> dict[str, float]:
    """Returns the scalars to plot over the epochs, by name; entropies in bits."""
    choices, p_split, entropy = _facts(mutator)
    scalars = {}
    for stage, places in [('', range(len(mutator.names))), *_stages(mutator.names).items()]:
        end = f'/{stage}' if stage else ''
        scalars[f'arch/entropy{end}'] = sum(entropy[place] for place in places) / len(places)
        scalars[f'arch/share_ratio{end}'] = sum(choices[place] == 'share' for place in places) / len(places)
    scalars.update({f'arch/p_split/{name}': value for name, value in zip(mutator.names, p_split, strict=True)})
    return scalars


def _facts(mutator: BNMutator) -> tuple[list[str], list[float], list[float]]:
    return list(mutator.choices().values()), mutator.probabilities()[:, 0].tolist(), mutator.entropy().tolist()


def _stages(names: list[str]) -> dict[str, list[int]]:
    stages = defaultdict(list)
    for place, name in enumerate(names):
        stages[stage_of(name)].append(place)
    return dict(stages)


def _letter(choice: str, p_split: float) -> str:
    sure = max(p_split, 1 - p_split) >= 0.6
    return ('S' if sure else 's') if choice == 'split' else ('-' if sure else '~')
