# Copyright (c) mmreid contributors. All rights reserved.
from .architecture import apply_arch, modality_norms, resolve_arch
from .candidate_graph import CandidateGraph
from .margin_classifiers import ArcFaceClassifier, CircleClassifier, CosFaceClassifier, MarginClassifier
from .modality_context import MODALITIES, ModalityContext
from .modality_norm import ModalityBN2d, ModalityLN, ModalityLN2d, ModalityNorm

__all__ = [
    'MODALITIES',
    'ArcFaceClassifier',
    'CandidateGraph',
    'CircleClassifier',
    'CosFaceClassifier',
    'MarginClassifier',
    'ModalityBN2d',
    'ModalityContext',
    'ModalityLN',
    'ModalityLN2d',
    'ModalityNorm',
    'apply_arch',
    'modality_norms',
    'resolve_arch',
]
