# Copyright (c) mmreid contributors. All rights reserved.
"""Sphinx configuration of the English docs; the Chinese one builds on it."""

import inspect
import sys
import types
from pathlib import Path

from sphinx.ext.autodoc.mock import _MockObject

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / 'mmreid'

project = 'mmreid'
author = 'mmreid contributors'
copyright = author  # noqa: A001  the name that Sphinx reads

_version: dict = {}
exec((PACKAGE / 'version.py').read_text(encoding='utf-8'), _version)  # noqa: S102  our own file
version = release = _version['__version__']

extensions = [
    'myst_parser',
    'notfound.extension',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'sphinx_copybutton',
]
language = 'en'
exclude_patterns = ['_build']

myst_enable_extensions = ['colon_fence', 'deflist']
myst_heading_anchors = 3
copybutton_prompt_text = '$ '

# The API pages are built without torch and what stands on it.
autodoc_mock_imports = [
    'cv2',
    'einops',
    'matplotlib',
    'mmcv',
    'mmengine',
    'mmpretrain',
    'numpy',
    'packaging',
    'PIL',
    'rich',
    'terminaltables',
    'torch',
    'torchvision',
]
# Annotations such as ``torch.Tensor | None`` are evaluated when a module is imported.
_MockObject.__or__ = _MockObject.__ror__ = lambda self, other: self

autodoc_typehints = 'none'  # the docstrings give the types
autodoc_member_order = 'bysource'
autodoc_default_options = {'members': True}
napoleon_use_ivar = True  # else the fields of a NamedTuple are described twice
napoleon_custom_sections = [('Meta fields', 'params_style'), ('Data fields', 'params_style')]

html_theme = 'furo'
html_title = f'mmreid {release}'
html_static_path = ['_static']
html_theme_options = {
    'source_repository': 'https://github.com/mmreid/mmreid/',
    'source_branch': 'main',
    'source_directory': 'docs/en/',
}
notfound_urls_prefix = '/en/latest/'


class _Registry:
    """Stands for a registry: hands back what it decorates."""

    def register_module(self, *args, **kwargs):
        """Returns a decorator that changes nothing."""
        return lambda module: module


def _stand_in(name: str, **attributes) -> None:
    """Puts an empty module in the place of one that cannot run on mocks."""
    module = types.ModuleType(name)
    module.__dict__.update(attributes)
    sys.modules[name] = module


# ``mmreid/__init__.py`` checks versions and ``mmreid/registry.py`` walks up registries: neither works on mocks.
sys.path.insert(0, str(ROOT))
_stand_in('mmreid', __path__=[str(PACKAGE)], __version__=release)
_stand_in('mmreid.registry', __getattr__=lambda name: _Registry())


def _class_signature(app, what, name, obj, options, signature, return_annotation):
    """Takes a class's arguments from its own ``__init__``: a mocked base would show (*args, **kwargs)."""
    if what != 'class' or '__init__' not in vars(obj):
        return ('', None) if signature == '(*args, **kwargs)' else None
    arguments = list(inspect.signature(obj.__init__).parameters.values())[1:]
    bare = [argument.replace(annotation=inspect.Parameter.empty) for argument in arguments]
    return str(inspect.Signature(bare)), None


def setup(app):
    """Connects the events."""
    app.connect('autodoc-process-signature', _class_signature)
