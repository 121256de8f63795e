# Copyright (c) mmreid contributors. All rights reserved.
from .evaluation_loops import ReIDTestLoop, ReIDValLoop
from .reid_runner import ReIDRunner

__all__ = ['ReIDRunner', 'ReIDTestLoop', 'ReIDValLoop']
