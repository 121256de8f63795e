# Copyright (c) mmreid contributors. All rights reserved.
from .camera_pairs import CameraPairs, camera_pairs
from .confusions import Confusion, find_confusions
from .label_errors import SameIdentity, TwoIdentities, WrongIdentity, find_same, find_two, find_wrong
from .precision_recall import RECALLS, precision_recall

__all__ = [
    'RECALLS',
    'CameraPairs',
    'Confusion',
    'SameIdentity',
    'TwoIdentities',
    'WrongIdentity',
    'camera_pairs',
    'find_confusions',
    'find_same',
    'find_two',
    'find_wrong',
    'precision_recall',
]
