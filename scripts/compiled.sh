# Sourced by scripts here, after venv.sh: builds the compiled form of the package as it is in this clone.
#
#   use_compiled   makes .venv/compiled/package, a folder with the compiled package and nothing else in it
#
# It needs use_venv to be called before, and a C compiler. The folder is built again when a source has changed.
# Nothing is compiled in the clone itself: an extension module there would hide the changes to its source.

use_compiled() {
    local folder=$root/.venv/compiled wanted
    compiled=$folder/package
    wanted=$(cd "$root" && { "$python" --version; find setup.py setup.cfg pyro_events -name '*.py' -o -name '*.cfg' |
        LC_ALL=C sort | xargs cat; } | cksum)
    if [ -f "$folder/ready" ] && [ "$(cat "$folder/ready")" = "$wanted" ]; then
        return 0
    fi
    echo "Compiling the package into $compiled, which takes a minute ..." >&2
    rm -rf "$folder"
    mkdir -p "$folder/source"
    copy_of_clone "$folder/source" ./setup.py ./setup.cfg ./pyproject.toml ./README.md ./LICENSE ./pyro_events \
        ./pytest_pyro_events.py
    # What setup.py would have pip fetch into an environment of its own, for each build anew.
    quietly "$python" -m pip install -qq 'mypy>=1.16' 'setuptools>=70.1'
    PYROEVENTS_COMPILE=1 quietly "$python" -m pip install -qq --no-deps --no-build-isolation \
        --target "$compiled" "$folder/source"
    rm -rf "$folder/source"
    printf '%s\n' "$wanted" >"$folder/ready"
}

# copy_of_clone FOLDER NAMES...   copies some of the clone, without what was made in it
copy_of_clone() {
    local folder=$1
    shift
    tar -C "$root" -cf - --exclude ./.venv --exclude ./.git --exclude ./build --exclude ./dist \
        --exclude '__pycache__' --exclude '*.egg-info' --exclude './.*_cache' --exclude ./.hypothesis "$@" |
        tar -C "$folder" -xf -
}
