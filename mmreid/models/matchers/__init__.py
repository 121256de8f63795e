# Copyright (c) mmreid contributors. All rights reserved.
from .base import Matcher
from .qaconv import QAConvMatcher
from .vector_matchers import CosineMatcher, EuclideanMatcher

__all__ = ['CosineMatcher', 'EuclideanMatcher', 'Matcher', 'QAConvMatcher']
