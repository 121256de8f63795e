# Copyright (c) mmreid contributors. All rights reserved.
"""What the console shows of the log of a run; the log file has everything."""

import logging
import warnings

from mmengine.dist import is_main_process

MODES = ('quiet', 'full')
# How the records begin that are for looking up later.
BULK = (
    'System environment:',
    'Config:\n',
    'Hooks will be executed in the following order',
    'Exp name: ',
    'Distributed training is not used, all SyncBatchNorm',
)
# MMEngine warns of calls that it makes itself.
NOT_OURS = ('"FileClient" will be deprecated', '"HardDiskBackend" is the alias of')


class ConsoleFilter(logging.Filter):
    """Keeps from the console what is for the log file: records with ``file_only``, and in quiet mode the bulky ones.

    Warnings and errors always pass.

    Args:
        quiet (bool): Whether the mode is the quiet one.
    """

    def __init__(self, quiet: bool) -> None:
        super().__init__()
        self.quiet = quiet

    def filter(self, record: logging.LogRecord) -> bool:
        """Tells whether a record is shown."""
        if getattr(record, 'file_only', False):
            return False
        text = record.getMessage().lstrip('\n-')
        return not (self.quiet and text.startswith(NOT_OURS if record.levelno >= logging.WARNING else BULK))


def set_console(logger: logging.Logger, mode: str) -> None:
    """Sets what the console shows of a log.

    Args:
        logger (logging.Logger): The logger of a run.
        mode (str): ``'full'`` shows everything, ``'quiet'`` leaves out environment, config and hooks.

    Raises:
        ValueError: If the mode is unknown.
    """
    if mode not in MODES:
        raise ValueError(f"console={mode!r} of the config is unknown; use 'quiet' or 'full'")
    for handler in logger.handlers:
        if type(handler) is logging.StreamHandler:  # a file's handler is of a subclass
            handler.filters = [known for known in handler.filters if not isinstance(known, ConsoleFilter)]
            handler.addFilter(ConsoleFilter(mode == 'quiet'))


def quiet_warnings() -> None:
    """Leaves Python's warnings to the first rank, and out what no user can mend."""
    # The configs ask for workers as a GPU needs them; fewer would draw other random numbers.
    warnings.filterwarnings('ignore', 'This DataLoader will create', UserWarning)
    warnings.filterwarnings('ignore', '`broadcast_buffers` is deprecated', FutureWarning)  # MMEngine's own argument
    if not is_main_process():
        warnings.simplefilter('ignore')
