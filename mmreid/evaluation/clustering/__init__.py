# Copyright (c) mmreid contributors. All rights reserved.
from .base import Clustering
from .jaccard_dbscan import JaccardDBSCAN
from .self_paced_dbscan import SelfPacedDBSCAN

__all__ = ['Clustering', 'JaccardDBSCAN', 'SelfPacedDBSCAN']
