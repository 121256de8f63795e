# Copyright (c) mmreid contributors. All rights reserved.
from .report import ReportOptions, write_report
from .report_folder import open_report_folder
from .sources import Source, read_sources, source_of_test

__all__ = ['ReportOptions', 'Source', 'open_report_folder', 'read_sources', 'source_of_test', 'write_report']
