# Copyright (c) mmreid contributors. All rights reserved.
"""Sphinx configuration of the Chinese docs: that of the English ones, in another language."""

from pathlib import Path

_ENGLISH = Path(__file__).resolve().parents[1] / 'en' / 'conf.py'
exec(compile(_ENGLISH.read_text(encoding='utf-8'), str(_ENGLISH), 'exec'))  # noqa: S102  our own file

language = 'zh_CN'
html_static_path = ['../en/_static']
html_theme_options['source_directory'] = 'docs/zh_CN/'  # noqa: F821  set by the line above
notfound_urls_prefix = '/zh-cn/latest/'
