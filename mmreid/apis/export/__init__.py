# Copyright (c) mmreid contributors. All rights reserved.
from .verify import Verification
from .write import export_model

__all__ = ['Verification', 'export_model']
