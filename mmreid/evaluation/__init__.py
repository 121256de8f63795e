# Copyright (c) mmreid contributors. All rights reserved.
from .functional import *  # noqa: F403
from .metrics import *  # noqa: F403
from .postprocessing import *  # noqa: F403
from .retrieval_set import RetrievalSet  # noqa: F401
from .retrieval_task import RetrievalTask  # noqa: F401
