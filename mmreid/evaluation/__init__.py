# Copyright (c) mmreid contributors. All rights reserved.
"""Evaluation of re-identification. The words of this package:

- *query*, *gallery*: for each query image, the gallery images are ranked by score, higher is more similar.
- *identity* (``pid``), *camera* (``camid``, counted from 0): the labels of an image.
- *match*: a gallery image of the query's identity that the protocol counts.
- *left out*: an image that the protocol removes from the gallery of a query, as of the same identity and camera.
- *junk*: boxes that show no whole person; dropped when the data set is read. *Distractor*: a gallery image of an
  identity that no query has; it counts as a wrong answer.
- *rank*: position in the ranked gallery, from 1. *Process rank*: a process of a distributed run.
- *CMC*, *Rank-k*: fraction of the queries whose first match has rank k or better.
- *AP*: mean of the precision at the matches of a query. *mAP*: its mean over the queries.
- *INP*: matches of a query / rank of the last one. *mINP*: its mean over the queries.
- *ROC*, *TPR@f*: verification of pairs; true positive rate at the false positive rate f.
- *task*: queries and the galleries that are ranked for them. *Row*: a line of the table, such as a direction.
  *Trial*: one of several drawn galleries of a row; values are means over the trials.
- *matcher*: turns features into scores. *Step*: an element of ``post``, between features and ranking.
"""

from .clustering import *  # noqa: F403
from .functional import *  # noqa: F403
from .metrics import *  # noqa: F403
from .postprocessing import *  # noqa: F403
from .retrieval_set import RetrievalSet  # noqa: F401
from .retrieval_task import RetrievalTask  # noqa: F401
