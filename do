#!/usr/bin/env bash
#
# The workflow of this repository, as one script. Every verb first makes what it needs: a virtual
# environment in .venv, filled with the wheels pinned in requirements.lock (to run) or
# requirements-test.lock (to develop). It needs nothing but bash and a Python of 3.11 or newer.
#
#   PYTHON=...   the interpreter to use; otherwise the newest python3.x found
#   VENV=...     another place for the virtual environment
#   CI=true      a missing test component is a failure instead of a loud skip

set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: ./do VERB [ARGUMENTS]

Run it
  up            start Pillarbox here; Ctrl-C stops it
  send          send a test message, e.g. ./do send --to you@example.com
  ANYTHING      every verb not listed here goes to the installed pillarbox

  compile       make it faster, once, where there is a C compiler (docs/performance.md)

Work on it
  check         format, lint, types, import contracts, fast tests: under a minute
  test          everything CI runs; arguments go to pytest
  crash         the crash tests alone
  prove NAME    run one proof in full and write docs/proofs/NAME.json
  bench         measure relaying beside Postfix, without writing a record
  cover         branches of the quiet rooms that their own tests do not take
  fix           let the formatter and the linter repair what they can
  docs          write the generated pages, check the links between pages
  map           print every module with its caption
  lock          pin the newest versions the declared bounds allow
TEXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
venv=${VENV:-$here/.venv}
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac

# pip is installed from its own wheel, because Debian splits ensurepip off from Python.
pip_version=26.3
pip_sha256=f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13
uv_version=0.13.8

# Talk goes to stderr: stdout belongs to the verb.
say() { printf '%s\n' "$*" >&2; }
fail() {
    printf './do: %s\n' "$*" >&2
    exit 1
}

# --- the environment -----------------------------------------------------------------------

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    local name
    if [ -n "${PYTHON:-}" ]; then
        is_new_enough "$PYTHON" || fail "PYTHON=$PYTHON is not a Python of 3.11 or newer."
        printf '%s' "$PYTHON"
        return
    fi
    for name in python3.15 python3.14 python3.13 python3.12 python3.11 python3; do
        if command -v "$name" >/dev/null && is_new_enough "$name"; then
            printf '%s' "$name"
            return
        fi
    done
    fail "no Python of 3.11 or newer found. Install one (Debian: apt install python3), or set PYTHON=."
}

make_venv() {
    local python
    python=$(find_python)
    # The real path: a link named python3 may point to another version after an upgrade.
    python=$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')
    if [ -e "$venv" ]; then
        [ -f "$venv/pyvenv.cfg" ] || fail "$venv exists and is not a virtual environment; move it away."
        rm -rf -- "$venv"
    fi
    say "Making $venv with $("$python" -V)"
    "$python" -m venv --without-pip "$venv" ||
        fail "$python cannot make a virtual environment; is its venv module installed?"
}

install_pip() {
    local scratch
    scratch=$(mktemp -d)
    # shellcheck disable=SC2064  # the name is known now, and gone when the trap runs
    trap "rm -rf -- '$scratch'" RETURN
    "$venv/bin/python" - "$pip_version" "$pip_sha256" "$scratch" <<'PY' || fail "pip could not be installed."
import configparser, hashlib, html, os, pathlib, re, ssl, sys, urllib.error, urllib.parse, urllib.request

version, sha256, folder = sys.argv[1:]
wheel = f"pip-{version}-py3-none-any.whl"

# The same words pip itself listens to: its environment variables, then its configuration files.
told = configparser.ConfigParser(interpolation=None, strict=False)
config_home = pathlib.Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
told.read(["/etc/xdg/pip/pip.conf", "/etc/pip.conf", config_home / "pip/pip.conf",
           os.environ.get("PIP_CONFIG_FILE", "")])

def setting(name, default=None):
    variable = os.environ.get("PIP_" + name.upper().replace("-", "_"))
    return variable or told.get("global", name, fallback=None) or default

def fetch(address):
    trust = ssl.create_default_context(cafile=setting("cert") or os.environ.get("SSL_CERT_FILE") or None)
    try:
        answer = urllib.request.urlopen(address, timeout=60, context=trust)
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ssl.SSLCertVerificationError):
            raise
        # A machine without a store of authorities. The hash below decides what is run; pip then
        # verifies with the authorities it carries.
        answer = urllib.request.urlopen(address, timeout=60, context=ssl._create_unverified_context())
    with answer:
        return answer.read(16_000_000), answer.geturl()

def candidates():
    for place in (setting("find-links") or "").split():
        if (pathlib.Path(place) / wheel).is_file():
            yield (pathlib.Path(place) / wheel).read_bytes()
    index = setting("index-url", "https://pypi.org/simple").rstrip("/") + "/pip/"
    page, base = fetch(index)
    link = re.search(r'href="([^"]*/' + re.escape(wheel) + r'[^"]*)"', page.decode())
    if link is None:
        sys.exit(f"{index} does not offer {wheel}")
    yield fetch(urllib.parse.urljoin(base, html.unescape(link[1])))[0]

try:
    content = next(candidates())
except OSError as error:
    sys.exit(f"{wheel} could not be fetched: {error}\n"
             "Is the network reachable? PIP_INDEX_URL, PIP_CERT and https_proxy are honoured.")
if hashlib.sha256(content).hexdigest() != sha256:
    sys.exit(f"{wheel} as offered is not the file pinned in ./do (sha256 differs); it was not run.")
(pathlib.Path(folder) / wheel).write_bytes(content)
PY
    local wheel="$scratch/pip-$pip_version-py3-none-any.whl"
    "$venv/bin/python" "$wheel/pip" --disable-pip-version-check install -q --no-index --no-deps "$wheel" ||
        fail "pip could not be installed."
}

# The package itself stays where it is: a path file makes src importable, and the command starts
# the interpreter that lies beside it. Nothing is built, so an edit needs no second install.
install_package() {
    local site
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    printf '%s\n' "$here/src" >"$site/pillarbox.pth"
    # What was compiled is run as long as no source is newer. PILLARBOX_PLAIN=1 runs the source.
    # -P: a file of the folder one happens to be in must not be imported instead of ours.
    cat >"$venv/bin/pillarbox" <<SH
#!/bin/sh
compiled=$(printf '%q' "$venv/compiled")
if [ -z "\${PILLARBOX_PLAIN:-}" ] && [ -f "\$compiled/.made-from" ] &&
    [ -z "\$(find $(printf '%q' "$here/src") -name __pycache__ -prune -o -type f -newer "\$compiled/.made-from" -print)" ]; then
    PYTHONPATH=\$compiled\${PYTHONPATH:+:\$PYTHONPATH}
    export PYTHONPATH
fi
exec $(printf '%q' "$venv/bin/python") -P -m pillarbox "\$@"
SH
    chmod +x "$venv/bin/pillarbox"
}

# What an environment is made from. It is written into .venv when all is installed, so that the
# next call is instant and a changed lock installs again.
fingerprint() {
    cat "$here/do" "$here/$1" | cksum
    printf '%s\n' "$here"
}

is_ready() {
    [ -x "$venv/bin/python" ] && [ -f "$venv/.made-from-$1" ] &&
        [ "$(fingerprint "$1")" = "$(<"$venv/.made-from-$1")" ] && ! python_changed
}

# need LOCK: an environment holding all that LOCK pins.
need() {
    is_ready "$1" && return
    # Two terminals may start at the same moment; the second waits for the first. The lock ends
    # with the subshell: what is started afterwards must not hold it.
    (
        if command -v flock >/dev/null && ! flock -n 9; then
            say "Waiting for another ./do to finish its installation"
            flock 9
        fi
        if ! is_ready "$1"; then make_ready "$1"; fi
    ) 9>"$here/.do.lock"
}

make_ready() {
    local lock=$1
    if [ ! -x "$venv/bin/python" ] || ! is_new_enough "$venv/bin/python" || python_changed; then
        make_venv
    fi
    if [ "$("$venv/bin/python" -m pip --version 2>/dev/null | cut -d' ' -f2)" != "$pip_version" ]; then
        install_pip
    fi
    say "Installing the $(grep -c '^[a-z0-9].*==' "$here/$lock") wheels pinned in $lock"
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input install -q \
        --require-hashes --only-binary :all: --no-warn-script-location -r "$here/$lock" ||
        fail "the wheels of $lock could not be installed; the lines above say why."
    install_package
    fingerprint "$lock" >"$venv/.made-from-$lock"
}

python_changed() {
    [ -n "${PYTHON:-}" ] || return 1
    local version='import sys; print(sys.version)'
    [ "$("$PYTHON" -c "$version")" != "$("$venv/bin/python" -c "$version")" ]
}

# --- what tests need from the system ---------------------------------------------------------

debian_packages=(
    postfix libsasl2-modules sasl2-bin swaks libio-socket-ssl-perl libnet-ssleay-perl
    curl strace e2fsprogs util-linux iproute2 procps gcc libc6-dev python3-dev postgresql
    msmtp s-nail esmtp php-cli libphp-phpmailer ruby ruby-mail libauthen-sasl-perl
    python3-dkim libmail-dkim-perl opendkim pebble
)
install=(apt-get -qq -y --no-install-recommends --no-remove -o Dpkg::Use-Pty=0 install)

# With root on Debian the missing packages are installed; anywhere else tests that miss a
# component are skipped, by name, in the summary at the end of the run.
need_system_packages() {
    local package missing=()
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        say "NOT DEBIAN: system packages are left alone; tests that miss one are skipped."
        return
    fi
    for package in "${debian_packages[@]}"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            missing+=("$package")
    done
    # Commands that come from Debian's packages on some machines and from other places on others.
    command -v npm >/dev/null || missing+=(nodejs npm)
    if [ "${1:-}" = clients ]; then
        command -v javac >/dev/null || missing+=(default-jdk-headless)
    fi
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        say "NOT ROOT: these packages are missing, and the tests that need them are skipped:"
        say "    apt-get install ${missing[*]}"
        return
    fi
    say "Installing for the tests: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    # Tests start servers of their own; the package need not make one for this machine.
    if [ ! -e /etc/postgresql-common ]; then
        mkdir -p /etc/postgresql-common
        printf 'create_main_cluster = false\n' >/etc/postgresql-common/createcluster.conf
    fi
    # Postfix is started by the tests that want it, never as this machine's own mail system.
    printf 'postfix postfix/main_mailer_type select No configuration\n' |
        debconf-set-selections 2>/dev/null || true
    apt-get -qq update || say "apt-get update failed; trying with the lists that are here."
    # --no-remove: never drop a mail system that somebody chose.
    if ! "${install[@]}" "${missing[@]}" >/dev/null; then
        for package in "${missing[@]}"; do
            "${install[@]}" "$package" >/dev/null || say "NOT INSTALLED: $package"
        done
    fi
}

# Mail clients that are not installed but lie below the repository, for the tests alone.
need_mail_clients() {
    need_nodemailer
    need_exim
}

need_nodemailer() {
    local folder=$here/tests/e2e/node
    command -v npm >/dev/null || {
        say "NO NPM: tests that send with nodemailer are skipped."
        return
    }
    [ "$folder/package-lock.json" -nt "$folder/node_modules/.package-lock.json" ] || return 0
    say "Installing what $folder/package-lock.json pins"
    (cd "$folder" && npm ci --silent --ignore-scripts --no-audit --no-fund) ||
        say "NOT INSTALLED: nodemailer"
}

# Unpacked: to install it would be to remove Postfix.
need_exim() {
    local into=$here/.programs/exim package=exim4-daemon-light scratch libraries
    if [ -x "$into/usr/sbin/exim4" ] || ! command -v apt-get >/dev/null; then return; fi
    say "Unpacking $package"
    scratch=$(mktemp -d)
    # shellcheck disable=SC2064  # the name is known now, and gone when the trap runs
    trap "rm -rf -- '$scratch'" RETURN
    (
        cd "$scratch"
        apt-get -qq download "$package" 2>/dev/null ||
            { apt-get -qq update && apt-get -qq download "$package" 2>/dev/null; }
        dpkg -x "$package"_*.deb exim
    ) || {
        say "NOT UNPACKED: $package"
        return
    }
    if ldd "$scratch/exim/usr/sbin/exim4" | grep -q 'not found'; then
        mapfile -t libraries < <(apt-cache depends "$package" | sed -n 's/^ *Depends: \(lib\S*\)$/\1/p')
        "${install[@]}" "${libraries[@]}" >/dev/null || say "NOT INSTALLED: ${libraries[*]}"
    fi
    mkdir -p "$here/.programs"
    mv "$scratch/exim" "$into"
}

# --- the verbs -------------------------------------------------------------------------------

# Runs one check under its name; all are run, the names of those that failed are told at the end.
failed=()
step() {
    local name=$1 began=$SECONDS
    shift
    say "--- $name"
    "$@" || failed+=("$name")
    local took=$((SECONDS - began))
    [ "$took" -lt 5 ] || say "    ($took s)"
}

static_checks() {
    step format "$venv/bin/ruff" format --quiet --check --diff .
    step lint "$venv/bin/ruff" check --quiet .
    step types "$venv/bin/mypy" --no-error-summary
    step "import contracts" import_contracts
}

import_contracts() {
    local report
    report=$("$venv/bin/lint-imports") || {
        printf '%s\n' "$report"
        return 1
    }
}

verdict() {
    if [ ${#failed[@]} -gt 0 ]; then
        say "FAILED: $(printf '%s, ' "${failed[@]}" | sed 's/, $//')"
        exit 1
    fi
    say "All good in $SECONDS s."
}

present() {
    local path
    for path in "$@"; do
        [ ! -e "$path" ] || printf '%s\n' "$path"
    done
}

verb=${1:-help}
[ $# -eq 0 ] || shift

case $verb in
    help | --help | -h)
        usage
        ;;
    check)
        need requirements-test.lock
        cd "$here"
        static_checks
        mapfile -t fast < <(present tests/unit tests/pair tests/dialogue tests/house)
        step tests "$venv/bin/pytest" -q -n 2 -m "not slow" "${fast[@]}" "$@"
        "$venv/bin/python" -m tests.house.exceptions
        verdict
        ;;
    test)
        need requirements-test.lock
        need_system_packages
        need_mail_clients
        cd "$here"
        static_checks
        if [ $# -gt 0 ]; then
            step tests "$venv/bin/pytest" --durations=20 "$@"
        else
            # Every test is in one of the three. Half of its time a test waits, for a server or a
            # disk, so there are more of them than cores; what measures is not disturbed.
            step tests "$venv/bin/pytest" --durations=10 -n 4 -m "not slow"
            step "slow tests" "$venv/bin/pytest" --durations=20 -n 3 --dist loadfile \
                -m "slow and not alone"
            step "tests alone" "$venv/bin/pytest" --durations=10 -m "slow and alone"
        fi
        verdict
        ;;
    crash)
        need requirements-test.lock
        cd "$here"
        exec "$venv/bin/pytest" tests/crash "$@"
        ;;
    prove)
        [ $# -gt 0 ] || fail "which proof? $(cd "$here" && ls tests/proofs | grep -v '^_' | sed -n 's/\.py$//p' | tr '\n' ' ')"
        need requirements-test.lock
        [ "$1" != clients ] || debian_packages+=(golang-go libmail-java)
        need_system_packages "$1"
        [ "$1" != clients ] || need_mail_clients
        cd "$here"
        case $1 in
            bench | submission_cost | slow_clients | rendering_relay)
                "$venv/bin/python" tools/compile.py "$venv/compiled"
                ;;
        esac
        exec "$venv/bin/python" -m tests.proofs "$@"
        ;;
    compile)
        need requirements-test.lock
        cd "$here"
        exec "$venv/bin/python" tools/compile.py "$venv/compiled"
        ;;
    bench)
        need requirements-test.lock
        need_system_packages
        cd "$here"
        "$venv/bin/python" tools/compile.py "$venv/compiled"
        exec "$venv/bin/python" -m tests.bench "$@"
        ;;
    cover)
        need requirements-test.lock
        cd "$here"
        exec "$venv/bin/python" -m tests.house.cover "$@"
        ;;
    fix)
        need requirements-test.lock
        cd "$here"
        "$venv/bin/ruff" check --quiet --fix . || true
        "$venv/bin/ruff" format --quiet .
        ;;
    docs)
        need requirements-test.lock
        cd "$here"
        exec "$venv/bin/python" docs/make.py "$@"
        ;;
    map)
        need requirements-test.lock
        cd "$here"
        exec "$venv/bin/python" docs/make.py --map "$@"
        ;;
    lock)
        need requirements-test.lock
        cd "$here"
        "$venv/bin/python" -m pip --disable-pip-version-check install -q "uv==$uv_version"
        pin=("$venv/bin/uv" pip compile pyproject.toml --quiet --upgrade --universal
            --python-version 3.11 --generate-hashes --no-header)
        "${pin[@]}" --output-file requirements.lock >/dev/null
        "${pin[@]}" --group test --constraint requirements.lock \
            --output-file requirements-test.lock >/dev/null
        ;;
    *)
        # Where both are installed, the development lock holds all that running needs.
        if ! is_ready requirements-test.lock; then need requirements.lock; fi
        # What is typed next is shown as it works here: ./do message show ...
        PILLARBOX_RUN_AS=$0 exec "$venv/bin/pillarbox" "$verb" "$@"
        ;;
esac
