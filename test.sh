#!/usr/bin/env bash
# Restores (from NuGet), builds and runs every test. Needs only the .NET SDK.
#
#   ./test.sh [--install] [--coverage] [-- OPTIONS OF dotnet test]
#
#   --install   first install the real servers and tools some tests need (apt-get, root or sudo);
#               then a test that skips is a failure. CI=true means the same.
#   --coverage  also write one Cobertura file per test project to artifacts/tests.
#
# Without --install a test whose server or privilege is missing skips and says what it misses.
set -euo pipefail

# What --install installs: one Debian package per line. The tests start servers of their own, on their own ports; those
# of the packages are not started here, but would be at the next boot of a whole machine.
server_packages=(
    chromium            # the browser of the stats page's tests
    dovecot-imapd       # IMAP, for docs/closing-real-servers.md as all that names a protocol only
    dovecot-pop3d       # POP3
    iproute2            # ip: the link between the two namespaces of a test
    mariadb-server-core # MySQL, without its service
    memcached           # memcached
    nftables            # nft: drops packets in the namespaces of tests whose server vanishes
    nginx               # HTTP
    postgresql          # PostgreSQL
    prometheus          # scrapes examples/CacheService for a minute
    python3-aiosmtpd    # SMTP: no service, and no mail server of the machine is displaced
    redis-server        # the real server of the integration tests, and Redis
    vsftpd              # FTP
)

# One configuration for build, test, pack and publish, so that nothing is built twice.
configuration=Release

usage() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
}

install=false
coverage=false
extra=()
[[ ${CI:-} == true ]] && install=true
while [[ $# -gt 0 ]]; do
    case $1 in
        --install) install=true ;;
        --coverage) coverage=true ;;
        --help | -h) usage; exit 0 ;;
        --) shift; extra=("$@"); break ;;
        *) echo "test.sh: unknown option '$1' (see ./test.sh --help)" >&2; exit 64 ;;
    esac
    shift
done

cd "$(dirname "${BASH_SOURCE[0]}")"

if ! command -v dotnet >/dev/null; then
    echo "test.sh: 'dotnet' is not on the PATH; install the .NET SDK that global.json names" >&2
    exit 69
fi

# The summary below is read back, so it must not be translated.
export DOTNET_CLI_UI_LANGUAGE=en DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1

if [[ $install == true ]]; then
    .ci/apt-install "${server_packages[@]}"
fi

dotnet build PooledTcp.sln --configuration "$configuration" --nologo --verbosity quiet

# The names in here are random: what an earlier run left would be read again.
results=artifacts/tests
rm -rf "$results"
mkdir -p "$results"

# One test project at a time: side by side they would fight for cores and ports and time each other out.
# A project in which no test ends for six minutes is stopped, and the log says which ones were running. A scenario of the
# kernel tests may take four, and then says itself what it waited for.
arguments=(
    --solution PooledTcp.sln --configuration "$configuration" --no-build
    --max-parallel-test-modules 1 --no-ansi --no-progress --results-directory "$results"
    --hangdump --hangdump-timeout 6m --hangdump-type None
)
[[ $install == true ]] && arguments+=(--fail-skips on)
[[ $coverage == true ]] && arguments+=(--coverage --coverage-output-format cobertura)
# A filter that fits one project leaves the others without a test, which is their exit code 8. That nothing ran at all
# is found below.
[[ ${#extra[@]} -gt 0 ]] && arguments+=(--ignore-exit-code 8)

log=$results/output.log
status=0
dotnet test "${arguments[@]}" "${extra[@]}" 2>&1 | tee "$log" || status=$?

for hang in "$results"/*_hang.log; do
    [[ -e $hang ]] || continue
    echo "Hung, and stopped: $hang"
    cat "$hang"
done

count() {
    sed -n "/^Test run summary:/,\$ s/^  $1: \([0-9][0-9]*\)\$/\1/p" "$log" | tail -n 1
}

total=$(count total)
if [[ -z $total ]]; then
    echo "Tests: the run ended without a summary (exit code $status)"
    exit $((status == 0 ? 1 : status))
fi
if [[ $total -eq 0 && $status -eq 0 ]]; then
    status=8
fi
if [[ $status -ne 0 && $(count failed) -eq 0 ]]; then
    echo "No test failed, but the run did: exit code $status"
fi
echo "Tests: $total run, $(count succeeded) passed, $(count failed) failed, $(count skipped) skipped"
exit "$status"
