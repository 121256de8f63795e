# Copyright (c) mmreid contributors. All rights reserved.
from .inference_contract import InferenceContract, Preprocessing
from .reid_data_sample import MODALITIES, ReIDDataSample, stack_field

__all__ = ['MODALITIES', 'InferenceContract', 'Preprocessing', 'ReIDDataSample', 'stack_field']
