# Copyright (c) mmreid contributors. All rights reserved.
"""Packaging of mmreid: ``pip install .`` or ``pip install -e ".[lite,tests]"``."""

import os
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent

# What MMEngine and mim look for in `mmreid/.mim`, so that `mmreid::...` configs work without a checkout.
MIM_CONTENT = ('configs', 'tools', 'model-index.yml', 'dataset-index.yml')


def read_version() -> str:
    """Reads the version without importing the package.

    Returns:
        str: The version.
    """
    namespace: dict = {}
    exec((ROOT / 'mmreid' / 'version.py').read_text(encoding='utf-8'), namespace)  # noqa: S102  our own file
    return namespace['__version__']


def read_requirements(name: str) -> list[str]:
    """Reads one file of ``requirements/``.

    Args:
        name (str): Name of the file without its suffix.

    Returns:
        list[str]: Its requirements, without comments.
    """
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    return [line for line in (line.partition('#')[0].strip() for line in lines) if line]


def read_description() -> str:
    """Reads the README.

    Returns:
        str: Its text, or nothing where there is no README.
    """
    readme = ROOT / 'README.md'
    return readme.read_text(encoding='utf-8') if readme.is_file() else ''


class BuildWithConfigs(build_py):
    """Adds ``mmreid/.mim`` to what is installed: copies in a wheel, links to the checkout in an editable install."""

    def run(self) -> None:
        """Builds the package, then adds the configs and tools."""
        super().run()
        if self.editable_mode:
            self.add_mim(ROOT / 'mmreid' / '.mim', link=True)
        else:
            self.add_mim(Path(self.build_lib) / 'mmreid' / '.mim', link=False)

    def add_mim(self, target: Path, link: bool) -> None:
        """Fills ``.mim`` anew, so that nothing of an earlier build stays in it.

        Args:
            target (Path): The folder to fill.
            link (bool): Whether to link instead of copying. Copies anyway where links are not allowed, as on Windows.
        """
        shutil.rmtree(target, ignore_errors=True)  # noqa: TID251  what an earlier build has made
        target.mkdir(parents=True)
        for source in (ROOT / name for name in MIM_CONTENT):
            if not source.exists():
                continue
            if link:
                try:
                    os.symlink(os.path.relpath(source, target), target / source.name, source.is_dir())
                    continue
                except OSError:
                    pass
            if source.is_dir():
                shutil.copytree(source, target / source.name, ignore=shutil.ignore_patterns('__pycache__', '*.py[cod]'))
            else:
                shutil.copy2(source, target / source.name)


if __name__ == '__main__':
    extras = {
        'lite': read_requirements('mminstall'),
        'mim': read_requirements('mminstall'),  # the name under which `mim install mmreid` looks for it
        'cluster': read_requirements('cluster'),
        'export': read_requirements('export'),
        'gallery': read_requirements('gallery'),
        'hub': read_requirements('hub'),
        'serve': read_requirements('serve'),
        'milvus': read_requirements('milvus'),
        'optional': read_requirements('optional'),
        'tests': read_requirements('tests'),
        'docs': read_requirements('docs'),
    }
    extras['all'] = sorted({requirement for extra in extras.values() for requirement in extra})
    setup(
        name='mmreid',
        version=read_version(),
        description='A person re-identification toolbox on MMEngine and MMPretrain',
        long_description=read_description(),
        long_description_content_type='text/markdown',
        author='mmreid contributors',
        url='https://github.com/mmreid/mmreid',
        keywords='person re-identification, visible-infrared, domain generalization, domain adaptation',
        license='Apache-2.0',
        classifiers=[
            'Development Status :: 4 - Beta',
            'Operating System :: OS Independent',
            'Programming Language :: Python :: 3',
            'Programming Language :: Python :: 3.10',
            'Programming Language :: Python :: 3.11',
            'Programming Language :: Python :: 3.12',
            'Programming Language :: Python :: 3.13',
            'Topic :: Scientific/Engineering :: Artificial Intelligence',
        ],
        python_requires='>=3.10',
        packages=find_packages(include=['mmreid', 'mmreid.*']),
        # An editable install then puts this folder on the path. Setuptools' own finder would come after a folder
        # `mmreid` beside the user's script, such as the clone itself, and Python would import that as an empty package.
        package_dir={'': '.'},
        package_data={
            'mmreid.apis': ['builtin/*/*', 'serving/*.html', 'report/*.css', 'report/*.html', 'report/*.js'],
            'mmreid.datasets': ['labels/*.csv'],
        },
        include_package_data=False,
        entry_points=dict(console_scripts=['mmreid = mmreid.cli.command:main']),
        install_requires=read_requirements('runtime'),
        extras_require=extras,
        cmdclass={'build_py': BuildWithConfigs},
        zip_safe=False,
    )
