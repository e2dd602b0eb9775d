#!/bin/sh
# Makes the environment in a folder, from requirements.lock and with hashes checked. One thing may
# differ from the lock: on Linux its torch is the build for NVIDIA GPUs, several gigabytes with what
# it needs. Without one the same version's CPU build is taken where one can be had, from
# wherever pip is set up to look or from PyTorch's own index; its hash is not in the lock.
# FOLDER/.ready is left when all is done: a set-up without it was interrupted and is made anew.
# Usage: PYTHON=python3 TORCH=auto|cpu|locked sh tools/setup_env.sh FOLDER
set -eu
# Never into the user's own Python, whatever happens to the folder meanwhile.
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_REQUIRE_VIRTUALENV=1

venv=$1
python=${PYTHON:-python3}
lock=requirements.lock
wanted_torch=${TORCH:-auto}
uv_entry='/^uv==/,/[^\\]$/' # the lines of the lock that pin uv

say() { printf '%s\n' "$*" >&2; }
fail() { for line in "$@"; do say "$line"; done; exit 1; }

# Sets `base` to the Python to make the environment with: PYTHON, or where that is itself in a
# virtual environment (perhaps the one to be replaced), the one beneath it.
find_python() {
    "$python" --version >/dev/null 2>&1 || fail \
        "No Python found: '$python' does not run here. Python 3.11 or newer is needed." \
        "Install one, or name another: make PYTHON=python3.12 ..."
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail \
        "'$python' is $("$python" --version 2>&1). Python 3.11 or newer is needed." \
        "Name another: make PYTHON=python3.12 ..."
    base=$("$python" -c \
        'import sys; print(getattr(sys, "_base_executable", None) or sys.executable)')
}

# Where uv is at hand, neither pip nor ensurepip is needed.
make_venv() {
    if "$base" -c 'import venv, ensurepip' 2>/dev/null; then
        "$base" -m venv "$venv"
    elif "$base" -c 'import venv' 2>/dev/null && uv --version >/dev/null 2>&1; then
        "$base" -m venv --without-pip "$venv"
    else
        fail "'$base' cannot make a virtual environment: its module venv or ensurepip is missing." \
            "On Debian or Ubuntu: sudo apt install python3-venv" \
            "Or name another Python, 3.11 or newer: make PYTHON=python3.12 ..."
    fi
}

# Sets `uv` to a uv that runs: the one on PATH, else the version that the lock pins, else nothing.
find_uv() {
    uv=
    if uv --version >/dev/null 2>&1; then
        uv=uv
    else
        sed -n "$uv_entry p" "$lock" >"$venv/uv.txt"
        if "$venv/bin/python" -m pip install --quiet --require-hashes -r "$venv/uv.txt"; then
            uv=$venv/bin/uv
        fi
        rm -f "$venv/uv.txt"
    fi
}

# Whether torch is to be the CPU build: asked for, or Linux without an NVIDIA driver.
wants_cpu_torch() {
    case $wanted_torch in
    cpu) return 0 ;;
    locked) return 1 ;;
    auto) [ "$(uname -s)" = Linux ] && [ ! -e /proc/driver/nvidia/version ] &&
        ! nvidia-smi -L >/dev/null 2>&1 ;;
    *) fail "TORCH is '$wanted_torch'; allowed: auto, cpu (without CUDA), locked (as in $lock)" ;;
    esac
}

locked_version() { sed -n "s/^$1==\([^ ;\\\\]*\).*/\1/p" "$lock"; }

# Installs the CPU build of torch, of the locked version, and sets `replaced` to the entries of the
# lock that it stands for; false where there is none. torchvision's locked build serves beside it
# where there is no other: only its Python half is used.
install_cpu_torch() {
    torch="torch==$(locked_version torch)" vision="torchvision==$(locked_version torchvision)"
    ask="$venv/bin/python -m pip install --quiet --no-deps"
    replaced='torch|triton|cuda-[a-z]+|nvidia-(cu|nccl|nvjitlink|nvshmem|nvtx)[a-z0-9-]*'
    if $ask "$torch+cpu" 2>/dev/null; then
        ! $ask "$vision+cpu" 2>/dev/null || replaced="$replaced|torchvision"
    elif [ -n "$uv" ] && $pip --no-deps --torch-backend cpu "$torch" "$vision" 2>/dev/null; then
        replaced="$replaced|torchvision"
    else
        return 1
    fi
}

install_all() {
    if [ -n "$uv" ]; then
        # Compiled now, as pip does: half of what each new process takes to import torch and timm.
        pip="$uv pip install --quiet --compile-bytecode --python $venv/bin/python"
        cp "$lock" "$venv/lock.txt"
    else
        say "uv cannot be had: installing with pip, which takes some minutes."
        pip="$venv/bin/python -m pip install --quiet"
        sed "$uv_entry d" "$lock" >"$venv/lock.txt"
    fi
    if wants_cpu_torch; then
        if install_cpu_torch; then
            sed -E "/^($replaced)==/,/[^\\\\]\$/d" "$venv/lock.txt" >"$venv/lock.tmp"
            mv "$venv/lock.tmp" "$venv/lock.txt"
        else
            say "No CPU build of torch can be had: taking the locked one, several gigabytes."
        fi
    fi
    $pip --no-deps --require-hashes -r "$venv/lock.txt" # the lock is complete
    rm -f "$venv/lock.txt"
    $pip --no-deps --no-build-isolation --editable .
}

# One set-up at a time; a lock whose holder died is taken over.
take_lock() {
    lock_folder=$venv.lock
    if ! mkdir "$lock_folder" 2>/dev/null; then
        holder=$(cat "$lock_folder/pid" 2>/dev/null || true)
        if [ -n "$holder" ] && kill -0 "$holder" 2>/dev/null; then
            fail "Another set-up of $venv is running (process $holder): wait for it, then run make again."
        fi
        rm -rf "$lock_folder"
        mkdir "$lock_folder"
    fi
    echo $$ >"$lock_folder/pid"
    trap 'rm -rf "$lock_folder"' EXIT
    trap 'exit 130' INT TERM HUP
}

# Leaves nothing half-made behind.
abandon() {
    if [ ! -f "$venv/.ready" ]; then
        rm -rf "$venv"
        say "No environment was made. Once what is named above is fixed, run make again."
    fi
    rm -rf "$lock_folder"
}

take_lock
if [ -f "$venv/.ready" ]; then
    say "Bringing the environment in $venv up to date ..."
else
    find_python
    [ ! -e "$venv" ] || say "$venv holds no finished set-up: removing it."
    rm -rf "$venv"
    trap abandon EXIT
    say "Making the environment in $venv with $("$base" --version) ..."
    make_venv
fi
find_uv
install_all
touch "$venv/.ready"
say "The environment is ready."
