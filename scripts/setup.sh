# Sourced by the scripts beside it: `environment` leaves a working .venv, current with pyproject.toml.
# The caller has `set -euo pipefail`.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="$ROOT/.venv"
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '[setup] %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
is_root_on_debian() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

apt_install() {
    say "installing $* (apt-get)"
    local log
    log="$(mktemp)"
    if ! { apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install --yes --no-install-recommends "$@"; } >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

find_python() {
    local name
    for name in python3.11 python3 python3.12 python3.13 python3.14; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

# Debian's python3 has `venv` but not `ensurepip` without the package python3-venv.
create_venv() {
    local python
    python="$(find_python)" || fail "Python 3.11 or newer is needed. On Debian type: apt-get install python3 python3-venv"
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        is_root_on_debian || fail "Python's venv module is incomplete. Type: sudo apt-get install python3-venv"
        apt_install python3-venv || fail "python3-venv could not be installed. Type: apt-get install python3-venv"
    fi
    say "creating .venv with $("$python" --version)"
    rm -rf "$VENV"
    "$python" -m venv "$VENV"
    printf '%s\n' "$VENV" >"$VENV/created"
}

# `created` is written last and holds the path, `installing` stands while pip works: a .venv that
# was killed half-way, or whose checkout was moved, is made again.
venv_works() {
    [ "$(cat "$VENV/created" 2>/dev/null)" = "$VENV" ] && [ ! -e "$VENV/installing" ] &&
        "$VENV/bin/python" -m pip --version >/dev/null 2>&1
}

# stamp EXTRAS: the file that holds what was installed with them.
stamp() { echo "$VENV/installed-${1:-runtime}"; }
wanted() { (cd "$ROOT" && cat pyproject.toml constraints.txt); }
is_set_up() { venv_works && [ "$(cat "$(stamp "$1")" 2>/dev/null)" = "$(wanted)" ]; }

# Installs again only when pyproject.toml or constraints.txt changed since the last time.
install_project() {
    local extras="$1" inputs
    inputs="$(wanted)"
    [ "$(cat "$(stamp "$extras")" 2>/dev/null)" != "$inputs" ] || return 0
    say "installing Looplab${extras:+ with $extras} (about a minute the first time)"
    touch "$VENV/installing"
    if ! "$VENV/bin/python" -m pip install --quiet --editable "$ROOT${extras:+[$extras]}" \
        --constraint "$ROOT/constraints.txt" 2> >(grep -v '^WARNING: Location .* is ignored' >&2); then
        rm "$VENV/installing"
        fail "pip could not install Looplab: see the lines above"
    fi
    printf '%s\n' "$inputs" >"$(stamp "$extras")"
    printf '%s\n' "$inputs" >"$VENV/installed-runtime"
    rm "$VENV/installing"
}

# environment EXTRAS: "" for the dashboard alone, "dev,servers" for everything.
# Two scripts started together wait for each other, where flock exists (not on macOS).
environment() {
    exec 9<"$ROOT/scripts/setup.sh"
    if command -v flock >/dev/null; then flock 9; fi
    venv_works || create_venv
    install_project "$1"
    exec 9<&-
}
