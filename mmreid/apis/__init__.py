# Copyright (c) mmreid contributors. All rights reserved.
from .model_building import get_model, init_model
from .model_list import list_models

__all__ = ['get_model', 'init_model', 'list_models']
