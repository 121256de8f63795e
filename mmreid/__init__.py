# Copyright (c) mmreid contributors. All rights reserved.
"""mmreid: person re-identification on MMEngine and MMPretrain.

Importing the package does three things only: it checks the versions of MMEngine, MMCV and MMPretrain, makes
``mmreid::...`` config paths known to MMEngine, and silences one warning of mmcv-lite.
"""

from .utils.import_guard import running_collect_env, running_command
from .utils.setup_env import prepare
from .version import __version__

# ``python -m mmreid.utils.collect_env`` has to run where the checks fail: it is there to say why. The command
# ``mmreid`` answers ``--help`` at once, and checks before it runs anything else.
if not (running_collect_env() or running_command()):
    prepare()

__all__ = ['__version__']
