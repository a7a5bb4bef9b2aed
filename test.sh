#!/bin/sh
# sh test.sh         everything that CI runs: installs what is missing, then lint to end-to-end
# sh test.sh quick   what a developer runs between edits
# sh test.sh elastic only the store on a real Elasticsearch (fetched once, 900 MB)
# sh test.sh soak    what is too long for CI
set -eu
cd "$(dirname "$0")"
mode=${1:-full}
case $mode in full | quick | elastic | soak) ;; *)
    echo "usage: sh test.sh [quick|elastic|soak]" >&2
    exit 2
    ;;
esac

python=${PYTHON:-python3}
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" != 0 ]; then
        echo "This Python cannot make an environment. Try: apt-get install -y python3-venv" >&2
        exit 3
    fi
    apt-get update -q && apt-get install -qy python3 python3-venv
fi

# The real programs that tests run against; a suite whose program is missing says so at the end.
programs="nft:nftables ip:iproute2 slapd:slapd ldapsearch:ldap-utils openssl:openssl
    tshark:tshark bwrap:bubblewrap
    rsyslogd:rsyslog logger:bsdutils strace:strace mkfs.ext4:e2fsprogs"
if [ "$mode" != quick ]; then programs="$programs java:openjdk-17-jre-headless mvn:maven"; fi
missing=""
for program in $programs; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${program%%:*}" >/dev/null || missing="$missing ${program#*:}"
done
if [ "$mode" != quick ] && [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -q
        # shellcheck disable=SC2086 # a list of names
        DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing
    else
        echo "Some suites will be skipped. Try: apt-get install -y$missing" >&2
    fi
fi
stamp=.venv/.metrosoc-dev-$(cat requirements-dev.lock pyproject.toml | cksum | cut -d' ' -f1)
if [ ! -e "$stamp" ]; then
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
    rm -f .venv/.metrosoc-dev-*
    : > "$stamp"
fi
PATH=$PWD/.venv/bin:$PATH
export PATH

budget=""
stage() { # stage NAME COMMAND...: run it, remember how long it took
    name=$1
    shift
    began=$(date +%s)
    echo "== $name"
    "$@"
    budget="$budget
$(printf '%-14s %5ds' "$name" $(($(date +%s) - began)))"
}

elastic() { # one server for all processes of the run
    stage server python -m tests.elastic.serve --fetch
    stage elastic python -m tests.elastic.serve pytest -q -n 2 -m "elastic and not soak"
}

stage lint ruff check .
stage format ruff format --check .
stage types mypy
stage imports lint-imports
case $mode in
quick) stage tests pytest -q -n 2 -m "not slow and not soak and not elastic" ;;
full)
    stage tests pytest -q -n 2 -m "not soak and not elastic"
    elastic
    ;;
elastic) elastic ;;
soak) stage tests pytest -q -m soak --hypothesis-profile=default ;;
esac
echo "== time spent$budget"
