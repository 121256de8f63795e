# Copyright (c) mmreid contributors. All rights reserved.
from .report import ReportOptions, write_report
from .sources import Source, read_sources, source_of_test

__all__ = ['ReportOptions', 'Source', 'read_sources', 'source_of_test', 'write_report']
