# Copyright (c) mmreid contributors. All rights reserved.
from .backbones import *  # noqa: F403
from .generators import *  # noqa: F403
from .heads import *  # noqa: F403
from .layers import *  # noqa: F403
from .losses import *  # noqa: F403
from .matchers import *  # noqa: F403
from .memories import *  # noqa: F403
from .mutators import *  # noqa: F403
from .necks import *  # noqa: F403
from .reid import *  # noqa: F403
from .utils import *  # noqa: F403
