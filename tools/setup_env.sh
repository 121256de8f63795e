# Copyright (c) mmreid contributors. All rights reserved.
# Used by tools/run_tests.sh, tools/quickstart.sh and .ci/run: finds a Python, makes an environment, installs mmreid.
# To be sourced by bash, not run:
#
#     source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
#     mmreid_use_env                # sets MMREID_PY: the active environment's python, or that of .venv (made if absent)
#     mmreid_install tests          # pip install -e ".[tests]" (and mmcv-lite if there is no mmcv), once
#     "$MMREID_PY" -m pytest
#
# Variables a user may set: PYTHON, the interpreter that makes .venv; MMREID_MIN_DISK_GB, the free space asked for
# before the first installation.

MMREID_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
MMREID_PY=""

mmreid_say() { printf '[mmreid] %s\n' "$*"; }

mmreid_die() {
    printf '[mmreid] ERROR: %s\n' "$*" >&2
    exit 1
}

# The version of an interpreter, such as 3.12; fails if it does not run (a pyenv shim may exist but not run).
mmreid_version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

mmreid_is_supported() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; }

# Prints the interpreter for new environments.
mmreid_find_python() {
    local candidate version seen=""
    if [ -n "${PYTHON:-}" ]; then
        version="$(mmreid_version_of "$PYTHON")" ||
            mmreid_die "PYTHON=$PYTHON does not run: set PYTHON to a Python 3.10 or newer, or unset it."
        mmreid_is_supported "$PYTHON" ||
            mmreid_die "PYTHON=$PYTHON is Python $version, mmreid needs 3.10 or newer: set PYTHON to a newer one."
        command -v "$PYTHON"
        return
    fi
    for candidate in python3.12 python3.11 python3.13 python3.10 python3 python; do
        version="$(mmreid_version_of "$candidate")" || continue
        if mmreid_is_supported "$candidate"; then
            command -v "$candidate"
            return
        fi
        seen="${seen:+$seen, }$candidate is $version"
    done
    if [ -n "$seen" ]; then
        mmreid_die "every Python found is too old ($seen; mmreid needs 3.10 or newer): install a newer one, or set PYTHON."
    fi
    mmreid_die "no Python was found: install Python 3.10 or newer (3.12 is best), or set PYTHON to its path."
}

# Prints the python inside an environment folder, on Linux and macOS or on Windows.
mmreid_python_in() {
    local python
    for python in "$1/bin/python" "$1/Scripts/python.exe" "$1/python.exe"; do
        if [ -x "$python" ]; then
            echo "$python"
            return
        fi
    done
    return 1
}

# Makes an environment in folder $1.
mmreid_make_env() {
    local python
    python="$(mmreid_find_python)" || exit 1
    mmreid_say "Making a virtual environment in $1 with Python $(mmreid_version_of "$python")"
    if ! "$python" -m venv "$1"; then
        rm -rf "$1" # half of an environment would be taken for a whole one the next time
        mmreid_die "$python could not make a virtual environment in $1: on Debian and Ubuntu install python3-venv, and see that the disk is not full."
    fi
}

# Sets MMREID_PY to the python of the active environment, or of .venv, which is made if missing.
mmreid_use_env() {
    local env version wanted
    if [ -n "${VIRTUAL_ENV:-}" ]; then
        env="$VIRTUAL_ENV"
        mmreid_say "Using the active virtual environment $env"
    elif [ -n "${CONDA_PREFIX:-}" ] && [ "${CONDA_DEFAULT_ENV:-}" != base ]; then
        env="$CONDA_PREFIX"
        mmreid_say "Using the active conda environment $env"
    else
        env="$MMREID_ROOT/.venv"
        if [ -d "$env" ]; then
            mmreid_say "Using the virtual environment $env"
        else
            mmreid_make_env "$env"
        fi
    fi
    MMREID_PY="$(mmreid_python_in "$env")" || mmreid_die "$env has no python in it: remove that folder or deactivate it, and try again."
    version="$(mmreid_version_of "$MMREID_PY")" || mmreid_die "$MMREID_PY does not run: remove $env or deactivate it, and try again."
    mmreid_is_supported "$MMREID_PY" || mmreid_die "$env has Python $version, mmreid needs 3.10 or newer: use another environment."
    if [ -n "${PYTHON:-}" ]; then
        wanted="$(mmreid_version_of "$PYTHON")" || wanted="a Python that does not run"
        [ "$wanted" = "$version" ] || mmreid_say "Note: PYTHON=$PYTHON ($wanted) is not used, $env exists already and has Python $version."
    fi
}

# One line that changes when the installation must be repeated.
mmreid_fingerprint() {
    (cd "$MMREID_ROOT" && "$MMREID_PY" - <<'PY'
import hashlib
import pathlib
import sys

digest = hashlib.sha256((sys.version + str(pathlib.Path.cwd())).encode())
for path in [*sorted(pathlib.Path('requirements').glob('*.txt')), *map(pathlib.Path, ('setup.py', 'pyproject.toml'))]:
    digest.update(path.read_bytes())
print(digest.hexdigest())
PY
    )
}

# Whether pip should install mmcv-lite: not beside a full mmcv, because both use the same folder.
mmreid_needs_lite() {
    "$MMREID_PY" - <<'PY'
import sys
from importlib.metadata import distributions
from importlib.util import find_spec

names = {(dist.metadata['Name'] or '').lower().replace('_', '-') for dist in distributions()}
sys.exit(bool(find_spec('mmcv')) and 'mmcv-lite' not in names)
PY
}

mmreid_free_gb() { df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print int($4 / 1048576) }'; }

mmreid_check_disk() {
    local free needed=2
    "$MMREID_PY" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)' && return
    [ "$(uname -s)" = Linux ] && needed=7 # torch for Linux comes with CUDA
    needed="${MMREID_MIN_DISK_GB:-$needed}"
    free="$(mmreid_free_gb "$("$MMREID_PY" -c 'import sys; print(sys.prefix)')")"
    if [ -n "$free" ] && [ "$free" -lt "$needed" ]; then
        mmreid_die "only $free GB are free where the environment is, torch and its libraries need about $needed GB: free some space, or set MMREID_MIN_DISK_GB if you know better (a CPU-only torch needs 2)."
    fi
}

# Installs mmreid from this checkout, editable. $1: comma-separated extras besides `lite`; may be empty. Skipped when
# the stamp of the environment says that it was done before.
mmreid_install() {
    local wanted="${1:-}" stamp fingerprint line="" done_for="" extra missing="" extras free
    stamp="$("$MMREID_PY" -c 'import sys; print(sys.prefix)')/.mmreid-installed"
    fingerprint="$(mmreid_fingerprint)" || mmreid_die "could not read requirements/ and setup.py in $MMREID_ROOT."
    if [ -f "$stamp" ]; then
        read -r line <"$stamp" || true
        [ "${line%% *}" = "$fingerprint" ] && done_for="${line#* }"
    fi
    for extra in install ${wanted//,/ }; do
        case ",$done_for," in *",$extra,"*) ;; *) missing="$missing $extra" ;; esac
    done
    if [ -z "$missing" ] && "$MMREID_PY" -c 'import importlib.metadata as m; [m.version(n) for n in ("mmreid", "torch", "mmengine", "mmpretrain")]' 2>/dev/null &&
        "$MMREID_PY" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("mmcv") is None)'; then
        mmreid_say "mmreid is installed already (delete $stamp to install again)"
        return
    fi

    mmreid_check_disk
    "$MMREID_PY" -m pip --version >/dev/null 2>&1 || "$MMREID_PY" -m ensurepip >/dev/null 2>&1 ||
        mmreid_die "$MMREID_PY has no pip: install pip into that environment, or remove it and try again."
    extras="$wanted"
    mmreid_needs_lite && extras="lite${wanted:+,$wanted}"
    mmreid_say "Installing mmreid${extras:+[$extras]} and what it needs with pip; the first time takes a few minutes and, on Linux, about 6 GB"
    rm -f "$stamp"
    if ! (cd "$MMREID_ROOT" && "$MMREID_PY" -m pip install --disable-pip-version-check -e ".${extras:+[$extras]}"); then
        free="$(mmreid_free_gb "$MMREID_ROOT")"
        mmreid_die "pip could not install mmreid, its own message is above; usual causes are no network, a full disk (${free:-?} GB free) or a Python without wheels of torch yet (set PYTHON to 3.12)."
    fi
    done_for="install,${done_for:+$done_for,}$wanted"
    printf '%s %s\n' "$fingerprint" "$done_for" >"$stamp"
}
