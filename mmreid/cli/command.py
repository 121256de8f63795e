# Copyright (c) mmreid contributors. All rights reserved.
"""Runs ``mmreid COMMAND ...``: the script of ``tools/`` with the same options, wherever mmreid is installed."""

import difflib
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]

#: Command -> its script below tools/, and what it does.
COMMANDS = {
    'train': ('train.py', 'train a model: CONFIG'),
    'test': ('test.py', 'test a checkpoint on labeled test sets: CONFIG CHECKPOINT'),
    'search': ('search.py', 'find people without labels: MODEL --query PATH --gallery PATH'),
    'gallery': (
        'gallery.py',
        'keep a gallery in a file, search it, show it as a web page: create GALLERY --model MODEL',
    ),
    'extract': ('extract.py', 'write embeddings of images to a file: MODEL IMAGES --out FILE'),
    'export': ('export.py', 'write a network for another runtime: CONFIG CHECKPOINT OUT --target NAME'),
    'publish': ('model_converters/publish_model.py', 'write a checkpoint without what only training needs: IN OUT'),
    'reproduce': ('reproduce.py', 'reproduce reported numbers on your copy of the data: METHOD --data-root DIR'),
    'env': (None, 'say which versions are installed, and what is wrong with them'),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs a command.

    Args:
        argv (Sequence[str], optional): The command and its options. Defaults to None: those of the process.

    Raises:
        SystemExit: With the status of the command; 2 for an unknown one.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ('-h', '--help', 'help'):
        print(_usage())
        return
    if argv[0] == '--version':
        print(_version())
        return
    name, *options = argv
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, 1)
        meant = f'; did you mean {close[0]}?' if close else ''
        sys.exit(_refuse(f'there is no command {name!r}{meant} Commands: {", ".join(COMMANDS)}'))
    _run(name, options)


def _run(name: str, options: list[str]) -> None:
    script = COMMANDS[name][0]
    sys.argv = [f'mmreid {name}', *options]
    if script is None:
        runpy.run_module('mmreid.utils.collect_env', run_name='__main__')
        return
    path = _tools_folder() / script
    if not path.is_file():
        sys.exit(_refuse(f'{path} is missing, so mmreid {name} cannot run; install mmreid again'))
    sys.path.insert(0, str(path.parent))  # as Python does for a script
    from mmreid.utils.setup_env import prepare

    prepare()
    # Not by runpy, which would put the path of the script in place of `mmreid train` in its messages.
    code = compile(path.read_bytes(), str(path), 'exec')
    exec(code, {'__name__': '__main__', '__file__': str(path)})  # noqa: S102  a script of this installation


def _tools_folder() -> Path:
    """Returns the scripts that an installation brings along, or those of the checkout."""
    installed = PACKAGE / '.mim' / 'tools'
    return installed if installed.is_dir() else PACKAGE.parent / 'tools'


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f'  {name:{width}}  {text}' for name, (_, text) in COMMANDS.items()]
    return '\n'.join(
        ['usage: mmreid COMMAND [options]', '', *lines, '', '`mmreid COMMAND --help` lists the options of a command.']
    )


def _version() -> str:
    from mmreid.version import __version__

    return __version__


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2
