# Copyright (c) mmreid contributors. All rights reserved.
"""The shell blocks of the documentation, and what comments before them say about running them.

Comments stand on lines of their own right before a block, and are not shown in the rendered page:

- ``<!-- not run: real data, GPU -->``: why the tests cannot run it, one or several of :data:`REASONS`, and optionally
  ``; where`` it is run instead;
- ``<!-- run with: FILE -> data/real_file; OTHER -> ... -->``: what to put for parts of the block. ``CONFIG`` and
  ``CHECKPOINT`` are those of the quickstart unless this says otherwise;
- ``<!-- run after: COMMAND -->``: what to run first.

A Python block whose first line is a comment with a path (``# configs/my/shop.py``) is that file.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from tiny_config import ROOT

REASONS = ('GPU', 'Slurm', 'real data', 'install', 'network', 'long')
CONFIG = 'configs/baseline/quickstart_resnet18_1xb64-25e_procedural-64x32.py'
CHECKPOINT = 'work_dirs/quickstart/seed0/epoch_25.pth'
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs' / 'en').rglob('*.md'))]

_BLOCK = re.compile(r'((?:^<!--[^\n]*-->\n)*)^```(bash|python)\n(.*?)^```$', re.M | re.S)
_COMMENT = re.compile(r'<!-- (not run|run with|run after): (.+?) -->')


@dataclass
class Block:
    """A shell block, or a file.

    Attributes:
        place (str): Page and line.
        text (str): What the page shows.
        path (str, optional): The file that it is; None for a shell block.
        not_run (str, optional): Why it cannot be run here.
        values (dict[str, str]): What to put for parts of the text.
        before (list[str]): Commands to run first.
    """

    place: str
    text: str
    path: str | None = None
    not_run: str | None = None
    values: dict[str, str] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)

    @property
    def script(self) -> str:
        """str: The commands as they are run."""
        script = '\n'.join([*self.before, self.text])
        for old, new in self.values.items():
            script = script.replace(old, new)
        return re.sub(r'(?<![\w$])(CONFIG|CHECKPOINT)(?![\w=])', lambda found: globals()[found[1]], script)


def blocks_of(page: Path) -> list[Block]:
    """Reads the shell blocks and files of a page, in their order.

    Args:
        page (Path): The page.

    Returns:
        list[Block]: The blocks.

    Raises:
        ValueError: If a comment before a block is not understood.
    """
    text = page.read_text(encoding='utf-8')
    blocks = []
    for found in _BLOCK.finditer(text):
        comments, language, content = found.groups()
        place = f'{page.relative_to(ROOT)}:{text.count(chr(10), 0, found.start(2)) + 1}'
        path = re.match(r'# ([\w/.-]+\.py)\n', content) if language == 'python' else None
        if language == 'bash' or path:
            blocks.append(_read(Block(place, content, path and path[1]), comments))
    return blocks


def _read(block: Block, comments: str) -> Block:
    for line in comments.splitlines():
        known = _COMMENT.fullmatch(line)
        if not known:
            raise ValueError(f'{block.place}: the comment {line} before the block is none of those that tests read')
        kind, value = known.groups()
        if kind == 'not run':
            block.not_run = value
        elif kind == 'run after':
            block.before.append(value)
        else:
            block.values |= dict(re.split(' -> ', entry, maxsplit=1) for entry in value.split('; '))
    return block
