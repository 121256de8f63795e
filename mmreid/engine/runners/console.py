# Copyright (c) mmreid contributors. All rights reserved.
"""What the console shows of the log of a run; the log file has everything."""

import logging
import re
import warnings

from mmengine.dist import is_main_process

MODES = ('quiet', 'full')
# How the records begin that are for looking up later.
BULK = (
    'System environment:',
    'Config:\n',
    'Hooks will be executed in the following order',
    'Exp name: ',
    'paramwise_options -- ',
    'Distributed training is not used, all SyncBatchNorm',
)
# MMEngine warns of calls that it makes itself, and of parameters that are frozen on purpose.
NOT_OURS = re.compile(
    '^"FileClient" will be deprecated|^"HardDiskBackend" is the alias of|is skipped since its requires_grad=False$'
)


class QuietFilter(logging.Filter):
    """Keeps from the console what is for the log file, such as records with ``extra=dict(bulky=True)``.

    Warnings and errors pass, but for those of MMEngine about its own ways.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Tells whether a record is shown."""
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            return NOT_OURS.search(text) is None
        return not (getattr(record, 'bulky', False) or text.lstrip('\n-').startswith(BULK))


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
            handler.filters = [known for known in handler.filters if not isinstance(known, QuietFilter)]
            if mode == 'quiet':
                handler.addFilter(QuietFilter())


def quiet_warnings() -> None:
    """Leaves Python's warnings to the first rank, and out what no user can mend."""
    # The configs ask for workers as a GPU needs them; fewer would draw other random numbers.
    warnings.filterwarnings('ignore', 'This DataLoader will create', UserWarning)
    warnings.filterwarnings('ignore', '`broadcast_buffers` is deprecated', FutureWarning)  # MMEngine's own argument
    if not is_main_process():
        warnings.simplefilter('ignore')
