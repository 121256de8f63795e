# Copyright (c) mmreid contributors. All rights reserved.
from .architecture import apply_arch, attach_branches, branch_norms, resolve_arch
from .branch_context import BranchContext
from .branch_copies import BranchCopies, copy_layers
from .branch_norm import BranchBN1d, BranchBN2d, BranchLN, BranchLN2d, BranchNorm
from .candidate_graph import CandidateGraph
from .ghost_norm import GhostBN1d, GhostBN2d
from .margin_classifiers import ArcFaceClassifier, CircleClassifier, CosFaceClassifier, MarginClassifier

__all__ = [
    'ArcFaceClassifier',
    'CandidateGraph',
    'CircleClassifier',
    'CosFaceClassifier',
    'GhostBN1d',
    'GhostBN2d',
    'MarginClassifier',
    'BranchBN1d',
    'BranchBN2d',
    'BranchContext',
    'BranchCopies',
    'BranchLN',
    'BranchLN2d',
    'BranchNorm',
    'apply_arch',
    'attach_branches',
    'branch_norms',
    'copy_layers',
    'resolve_arch',
]
