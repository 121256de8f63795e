# Copyright (c) mmreid contributors. All rights reserved.
from .architecture import apply_arch, modality_norms, resolve_arch
from .candidate_graph import CandidateGraph
from .modality_context import MODALITIES, ModalityContext
from .modality_norm import ModalityBN2d, ModalityLN, ModalityLN2d, ModalityNorm

__all__ = [
    'MODALITIES',
    'CandidateGraph',
    'ModalityBN2d',
    'ModalityContext',
    'ModalityLN',
    'ModalityLN2d',
    'ModalityNorm',
    'apply_arch',
    'modality_norms',
    'resolve_arch',
]
