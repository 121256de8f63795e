# Copyright (c) mmreid contributors. All rights reserved.
"""Reads configs for the tools, and reports what is misspelled or missing in them."""

import argparse
import difflib
import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict, DictAction
from mmengine.utils import is_seq_of

#: Begin of the name of a config of the installation.
PREFIX = 'mmreid::'
# Sections that mean something to the runner or the tools; a near miss of one of them is a typo.
SECTIONS = (
    'model train_dataloader val_dataloader test_dataloader train_cfg val_cfg test_cfg val_evaluator test_evaluator '
    'optim_wrapper param_scheduler auto_scale_lr default_hooks custom_hooks custom_imports default_scope env_cfg '
    'randomness visualizer log_level console log_processor load_from resume runner_type work_dir launcher '
    'experiment_name find_unused_parameters model_wrapper_cfg sync_bn compile channels_last data_preprocessor '
    'allow_partial activation_checkpointing efficient_conv_bn_eval detect_anomalous_params load_from_if_new'
).split()
# Variables that configs share by convention, and where their values are copied to when the config is read.
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
VARIABLES = dict(
    data_root=[f'{loader}.dataset.data_root' for loader in _LOADERS],
    dataset_type=[f'{loader}.dataset.type' for loader in _LOADERS],
    train_pipeline=['train_dataloader.dataset.pipeline'],
    val_pipeline=['val_dataloader.dataset.pipeline'],
    test_pipeline=['val_dataloader.dataset.pipeline', 'test_dataloader.dataset.pipeline'],
    vis_backends=['visualizer.vis_backends'],
)
TRAINING = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper')
TESTING = ('model', 'test_dataloader', 'test_cfg', 'test_evaluator')


def load_config(path: str, options: dict[str, Any] | None = None, required: Iterable[str] = ()) -> Config:
    """Reads a config, applies ``--cfg-options`` and checks the sections.

    Args:
        path (str): The config file, or ``mmreid::`` and one below the ``configs`` of the installation.
        options (dict[str, Any], optional): Dotted keys to values. Defaults to None.
        required (Iterable[str]): Sections that must be there. Defaults to ().

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a section is missing or misspelled, or an option names a section that does not exist.
    """
    path = _of_installation(path)
    if Path(path).is_dir():
        raise IsADirectoryError(f'config {path} is a folder; name a .py file in it')
    if not Path(path).is_file():
        folder = Path(path).parent
        near = difflib.get_close_matches(Path(path).name, [file.name for file in folder.glob('*.py')], 1, 0.5)
        hint = f'; did you mean {folder / near[0]}?' if near else ''
        raise FileNotFoundError(f'config {path} does not exist{hint}')
    cfg = _read(path)
    check_option_keys(cfg, options or {})
    if options:
        cfg.merge_from_dict(options)
    check_sections(cfg, required, path)
    return cfg


def _of_installation(path: str) -> str:
    """Replaces ``mmreid::`` by the folder of the shipped configs."""
    return str(shipped_root() / 'configs' / path.removeprefix(PREFIX)) if path.startswith(PREFIX) else path


def shipped_root() -> Path:
    """Returns the folder of the configs and the model index: in the package, else the checkout around it."""
    package = Path(__file__).resolve().parents[1]
    inside = package / '.mim'
    return inside if (inside / 'model-index.yml').is_file() else package.parent


def _read(path: str) -> Config:
    """Reads a config file; names it in the message where something is wrong with it or its bases."""
    # A module beside the config, which `custom_imports` names, is found without PYTHONPATH.
    folder = str(Path(path).resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    if not path.endswith(('.py', '.json', '.yml', '.yaml')):
        raise ValueError(
            f'{path} is not a config: a config ends in .py (the order of arguments is CONFIG [CHECKPOINT])'
        )
    try:
        return _FormattedOnce.of(Config.fromfile(path))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'config {path} inherits from {error.filename or error}, which does not exist'
        ) from error
    except SyntaxError as error:
        raise ValueError(f'config {path} or one of its bases cannot be read: {error}') from error


class _FormattedOnce(Config):
    """A config whose text is formatted again only after a change, as a training asks for it four times."""

    @classmethod
    def of(cls, cfg: Config) -> Config:
        same = cls.__new__(cls)
        same.__dict__.update(cfg.__dict__)
        return same

    @property
    def pretty_text(self) -> str:
        content = repr(self._cfg_dict)
        if self.__dict__.get('_formatted', ('',))[0] != content:
            self.__dict__['_formatted'] = content, super().pretty_text
        return self.__dict__['_formatted'][1]


class OptionsAction(DictAction):
    """Reads ``--cfg-options key=value ...``; unlike MMEngine's, it keeps spaces in a plain value."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any) -> None:
        """Adds the options to those that came before."""
        options = dict(vars(namespace).get(self.dest) or {})
        for entry in values:
            key, separator, value = entry.partition('=')
            if not separator or not key:
                parser.error(f'--cfg-options {entry}: expected key=value, e.g. train_cfg.max_epochs=10')
            is_list = value[:1] in '[(' or ',' in value
            if re.search(r'\bdict\(|^[\[(]*\{', value):
                parser.error(
                    f'--cfg-options {entry}: values are numbers, words and lists of these, but no dict(...); write it '
                    'into a config'
                )
            try:
                options[key] = self._parse_iterable(value) if value and is_list else self._parse_int_float_bool(value)
            except RecursionError:  # how MMEngine's reader of lists fails on unbalanced brackets
                parser.error(f'--cfg-options {entry}: this list cannot be read; are all brackets closed?')
        setattr(namespace, self.dest, options)


def check_sections(cfg: Config, required: Iterable[str], path: str) -> None:
    """Checks that required sections are there and that no name is a misspelled section.

    Raises a ValueError that names the section and what was probably meant; ``path`` is the file, for the message.
    """
    for name in cfg:
        near = difflib.get_close_matches(name, SECTIONS, 1, 0.8)
        known = name in (*SECTIONS, *VARIABLES) or name.startswith('_')
        if near and not known and not list(_places_of(cfg, cfg[name], SECTIONS)):
            raise ValueError(
                f"config {path} has a section '{name}', which nothing reads; did you mean '{near[0]}'? (A variable of "
                "your own that no section uses may begin with '_'.)"
            )
    missing = [name for name in required if cfg.get(name) is None]
    if missing:
        raise ValueError(
            f'config {path} lacks the section(s) {", ".join(missing)}; inherit them with _base_ = [...] from '
            'configs/_base_/, or write them'
        )


def check_option_keys(cfg: Config, options: dict[str, Any]) -> None:
    """Checks the keys of ``--cfg-options`` against the config.

    A section that does not exist is an error, and so are a variable of the file, such as ``data_root``, and a word in
    place of a component. A new key inside a section may be right (an argument left at its default), so it only causes a
    warning.

    Args:
        cfg (Config): The config before the options are applied.
        options (dict[str, Any]): Dotted keys to values.

    Raises:
        ValueError: If a key begins with an unknown section, has no effect, or would replace a component by a word.
    """
    for key, value in options.items():
        first, *rest = key.split('.')
        if first not in cfg and first not in SECTIONS:
            near = difflib.get_close_matches(first, [*cfg, *SECTIONS], 1, 0.6)
            hint = f"; did you mean '{'.'.join([near[0], *rest])}'?" if near else ''
            raise ValueError(
                f"--cfg-options {key}: the config has no section '{first}'{hint} (tools/misc/print_config.py shows all)"
            )
        if first in cfg and first not in SECTIONS:
            _refuse_variable(cfg, key, first)
        _refuse_word(cfg, key, value)
        unknown = _first_unknown(cfg, [first, *rest])
        if unknown:
            place, name, known = unknown
            near = difflib.get_close_matches(name, known, 1, 0.6)
            hint = f"; did you mean '{place}.{near[0]}'?" if near else ''
            warnings.warn(f"--cfg-options {key}: '{place}' has no key '{name}' yet, it is added{hint}", stacklevel=2)


def _refuse_variable(cfg: Config, key: str, name: str) -> None:
    """Refuses a key of a variable that the sections do not follow, and says where to set its value."""
    places = list(_places_of(cfg, cfg[name], SECTIONS))
    if not places and name not in VARIABLES:
        warnings.warn(
            f"--cfg-options {key}: '{name}' is a variable of the config file that nothing in mmreid reads, so this has "
            'an effect only if code of your own reads it',
            stacklevel=3,
        )
        return
    places = places or [place for place in VARIABLES[name] if _value_at(cfg, place) is not None]
    remedy = f'; set {", ".join(places)} instead' if places else ''
    raise ValueError(
        f"--cfg-options {key}: '{name}' is a variable of the config file, which was used up when the file was read, so "
        f'changing it now would change nothing{remedy}'
    )


def _refuse_word(cfg: Config, key: str, value: Any) -> None:
    """Refuses a plain value in place of a section, a component (which has a type), or a list of components."""
    if value == '' and key in SECTIONS:
        raise ValueError(f'--cfg-options {key}= has no value; give one, or None')
    if value is None or isinstance(value, dict) or (value != '' and is_seq_of(value, dict)):
        return
    before = _value_at(cfg, key)
    if before and is_seq_of(before, dict):
        raise ValueError(
            f'--cfg-options {key}={value!r} would replace a list of {len(before)} components; write the list into a '
            f'config, or set a part of it: {key}.0.<key>=...'
        )
    if isinstance(before, dict) and ('type' in before or key in SECTIONS):
        what = f"dict(type='{before['type']}', ...)" if 'type' in before else f'dict({", ".join(before)})'
        remedy = f'{key}.type={value}' if isinstance(value, str) and 'type' in before else f'{key}.<key>=...'
        raise ValueError(f'--cfg-options {key}={value!r} would replace {what}; set {remedy} instead')


def _value_at(cfg: Config, key: str) -> Any:
    """Returns the value under a dotted key of a config; None if there is none."""
    node: Any = cfg
    for name in key.split('.'):
        if isinstance(node, (Config, dict)):
            node = node.get(name)
        elif isinstance(node, (list, tuple)) and name.isdecimal() and int(name) < len(node):
            node = node[int(name)]
        else:
            return None
    return node


def _places_of(node: Any, value: Any, names: Iterable[str] | None = None, prefix: str = '') -> Iterator[str]:
    """Finds the dotted keys under which a config holds a value."""
    items = node.items() if isinstance(node, dict | Config) else enumerate(node) if isinstance(node, list) else ()
    for name, entry in items:
        if names is None or name in names:
            if entry == value and type(entry) is type(value):
                yield f'{prefix}{name}'
            else:
                yield from _places_of(entry, value, prefix=f'{prefix}{name}.')


def _first_unknown(cfg: Config, keys: list[str]) -> tuple[str, str, list[str]] | None:
    """Finds the first part of a dotted key that the config lacks; returns its parent, its name and its siblings."""
    node: Any = cfg
    for depth, name in enumerate(keys):
        if isinstance(node, (Config, ConfigDict, dict)):
            if name not in node:
                return ('.'.join(keys[:depth]), name, list(node)) if depth else None
            node = node[name]
        elif isinstance(node, (list, tuple)):
            if not name.isdigit() or int(name) >= len(node):
                raise ValueError(
                    f'--cfg-options {".".join(keys)}: {".".join(keys[:depth])} is a list of {len(node)}, so the next '
                    f"part must be 0..{len(node) - 1}, not '{name}'"
                )
            node = node[int(name)]
        elif node is None:
            return None
        else:
            raise ValueError(
                f"--cfg-options {'.'.join(keys)}: {'.'.join(keys[:depth])} is {node!r} and has no key '{name}'"
            )
    return None
