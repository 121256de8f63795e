# Copyright (c) mmreid contributors. All rights reserved.
"""Selects what the console shows of a log; the log file has everything."""

import logging
import re
import warnings

from mmengine.dist import is_main_process

MODES = ('quiet', 'full')
# First words of the records that are only for reference.
BULK = (
    'System environment:',
    'Config:\n',
    'Hooks will be executed in the following order',
    'Exp name: ',
    'paramwise_options -- ',
    'Distributed training is not used, all SyncBatchNorm',
)
# MMEngine warns about calls that it makes itself, and about parameters that are frozen on purpose.
NOT_OURS = re.compile(
    '^"FileClient" will be deprecated|^"HardDiskBackend" is the alias of|is skipped since its requires_grad=False$'
)


class QuietFilter(logging.Filter):
    """Hides bulky records, such as those with ``extra=dict(bulky=True)``, from the console.

    Warnings and errors pass, except those of MMEngine about its own calls.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to show a record."""
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            return NOT_OURS.search(text) is None
        return not (vars(record).get('bulky', False) or text.lstrip('\n-').startswith(BULK))


def set_console(logger: logging.Logger, mode: str) -> None:
    """Sets how much of a log the console shows: ``'full'``, or ``'quiet'`` without environment, config and hooks."""
    if mode not in MODES:
        raise ValueError(f"console={mode!r} of the config is unknown; use 'quiet' or 'full'")
    for handler in logger.handlers:
        if type(handler) is logging.StreamHandler:  # file handlers are of a subclass
            handler.filters = [known for known in handler.filters if not isinstance(known, QuietFilter)]
            if mode == 'quiet':
                handler.addFilter(QuietFilter())


def quiet_warnings() -> None:
    """Shows Python's warnings on the first rank only, and none that users cannot fix."""
    # The configs ask for workers as a GPU needs them; fewer would draw other random numbers.
    warnings.filterwarnings('ignore', 'This DataLoader will create', UserWarning)
    warnings.filterwarnings('ignore', '`broadcast_buffers` is deprecated', FutureWarning)  # MMEngine's own argument
    if not is_main_process():
        warnings.simplefilter('ignore')
