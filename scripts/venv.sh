# Sourced by the scripts here: finds a Python, and keeps .venv in the clone up to date.
#
#   use_venv NAME [EXTRAS]   makes .venv ready for NAME ("run", or "test" with the extras "dev")
#
# Sets root (the clone) and python (the interpreter of .venv). A second run finds the mark that the
# first one left and does nothing. Nothing is written outside the clone.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

suits() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1
}

find_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        if suits "$PYTHON"; then
            printf '%s\n' "$PYTHON"
            return 0
        fi
        echo "PYTHON=$PYTHON is not Python 3.10 or newer with venv; set PYTHON to one that is, or unset it." >&2
        return 1
    fi
    for candidate in python3 python3.13 python3.12 python3.11 python3.10 python; do
        if command -v "$candidate" >/dev/null 2>&1 && suits "$candidate"; then
            command -v "$candidate"
            return 0
        fi
    done
    echo "No Python 3.10 or newer with venv was found; install one, or name it: PYTHON=/path/to/python3 $0" >&2
    return 1
}

# What .venv was made from. A clone that was moved, another Python or changed dependencies differ.
fingerprint() {
    printf '%s\n%s\n' "$root" "$("$1" -c 'import sys; print(sys.version)')"
    cat "$root/setup.cfg" "$root/pyproject.toml"
}

# Runs a command of the set-up. What it says is shown only if it fails; if Ctrl-C ends it, its traceback
# is of no use to anybody.
quietly() {
    local said status=0
    said=$("$@" 2>&1) || status=$?
    if [ "$status" -ne 0 ]; then
        printf '%s\n' "$said" >&2
    fi
    return "$status"
}

use_venv() {
    local name=$1 extras=${2:-} base wanted mark
    base=$(find_python) || exit 1
    python=$root/.venv/bin/python
    mark=$root/.venv/ready-for-$name
    wanted=$(fingerprint "$base" | cksum)
    if [ -x "$python" ] && [ -f "$mark" ] && [ "$(cat "$mark")" = "$wanted" ]; then
        return 0
    fi
    echo "Setting up .venv with $base ..." >&2
    trap 'echo "The set-up was interrupted; start again to go on with it." >&2; exit 130' INT
    # Another mark of the same kind means that the environment itself is good and lacks only extras.
    if ! cat "$root"/.venv/ready-for-* 2>/dev/null | grep -qxF "$wanted"; then
        quietly "$base" -m venv --clear "$root/.venv"
    fi
    export PIP_CACHE_DIR="${PIP_CACHE_DIR:-$root/.venv/pip-cache}" PIP_DISABLE_PIP_VERSION_CHECK=1
    export PIP_ROOT_USER_ACTION=ignore
    quietly "$python" -m pip install -qq --editable "$root${extras:+[$extras]}"
    printf '%s\n' "$wanted" >"$mark"
    printf '%s\n' "$wanted" >"$root/.venv/ready-for-run"
    trap - INT
}

# The tests start hundreds of processes, and each compiled all modules anew without the compiled ones.
unset PYTHONDONTWRITEBYTECODE
