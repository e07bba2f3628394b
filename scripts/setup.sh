#!/bin/sh
# Makes a Redis available to lockjam: an image where Docker answers, else a redis-server or valkey-server on PATH.
#
#   scripts/setup.sh            one of the two is enough
#   scripts/setup.sh --tests    both, and what tests look at lockjam's output with (Chromium, Prometheus, redis_exporter, tmux), as
#                               far as they can be had: the tests skip what is missing
#
# Environment: LOCKJAM_REDIS_IMAGE  the image that is wanted (default redis:7.4-alpine)
#
# Safe to run twice. Root is only asked for (sudo -n, never a password) where a package has to be installed.

set -eu

wanted_image=${LOCKJAM_REDIS_IMAGE:-redis:7.4-alpine}
local_image=lockjam-redis:local
pull_limit_s=120
build_folder=

say() { printf 'setup: %s\n' "$*"; }

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# bounded SECONDS COMMAND...: macOS has no timeout(1); there the command runs as long as it likes.
bounded() {
    limit_s=$1
    shift
    if command -v timeout >/dev/null 2>&1; then
        timeout "$limit_s" "$@"
    else
        "$@"
    fi
}

docker_answers() {
    command -v docker >/dev/null 2>&1 && bounded 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

image_present() { docker image inspect "$1" >/dev/null 2>&1; }

# find_server prints the path of the server binary. /usr/sbin and Homebrew's folders are not on every PATH, and a path that
# lockjam itself would not find is of no use, so only PATH counts.
find_server() { command -v redis-server || command -v valkey-server; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo -n "$@"
    else
        return 1
    fi
}

# A package that brings a service would start it, now and at every boot. lockjam wants the binary only. policy-rc.d is what
# Debian asks before it starts anything, under System V and systemd alike; it is there for as long as the installation lasts.
policy=/usr/sbin/policy-rc.d
policy_is_ours=no

forbid_services() {
    if [ ! -e "$policy" ] && printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null; then
        policy_is_ours=yes
        as_root chmod 755 "$policy"
    fi
}

install_with_apt() {
    forbid_services
    if as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq; then
        for package in redis-server valkey-server; do
            if as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null; then
                as_root update-rc.d "$package" disable >/dev/null 2>&1 || true # systemd listens to it as well
                break
            fi
        done
    fi
    remove_policy
    find_server >/dev/null
}

remove_policy() {
    [ "$policy_is_ours" = no ] || as_root rm -f "$policy"
    policy_is_ours=no
}

install_server() {
    if command -v apt-get >/dev/null 2>&1; then
        say "installing redis-server with apt-get"
        install_with_apt
    elif command -v dnf >/dev/null 2>&1; then
        say "installing redis or valkey with dnf"
        as_root dnf install -y -q redis || as_root dnf install -y -q valkey
    elif command -v apk >/dev/null 2>&1; then
        say "installing redis or valkey with apk"
        as_root apk add -q redis || as_root apk add -q valkey
    elif command -v brew >/dev/null 2>&1; then
        say "installing redis with brew"
        brew install --quiet redis
    else
        return 1
    fi
}

# install_viewers installs the programs that tests put lockjam's output before. Elsewhere than on Debian they are for
# whoever runs the tests to install.
install_viewers() {
    packages=
    command -v chromium >/dev/null 2>&1 || packages="$packages chromium"
    command -v promtool >/dev/null 2>&1 || packages="$packages prometheus"
    command -v prometheus-redis-exporter >/dev/null 2>&1 || packages="$packages prometheus-redis-exporter"
    command -v tmux >/dev/null 2>&1 || packages="$packages tmux"
    [ -n "$packages" ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        say "not here, and their tests will be skipped:$packages"
        return 0
    fi
    say "installing with apt-get:$packages"
    forbid_services
    # shellcheck disable=SC2086 # several words, meant as such
    if ! { as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null; }; then
        say "could not be installed, and their tests will be skipped:$packages"
    fi
    remove_policy
}

# copy_with_libraries BINARY ROOT: the binary goes to /usr/local/bin under its own name, because redis-server may be a
# symbolic link to redis-check-rdb and looks at the name it is called by; its libraries and the loader keep their paths.
copy_with_libraries() {
    cp -L "$1" "$2/usr/local/bin/$(basename "$1")"
    # A static binary makes ldd fail: it has nothing to copy.
    { ldd "$1" 2>/dev/null || true; } | awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^\//) print $i }' |
        while read -r library; do
            mkdir -p "$2$(dirname "$library")"
            cp -L "$library" "$2$library"
        done
}

# build_image makes an image out of the installed server alone. It needs no registry.
build_image() {
    server=$1
    [ "$(uname -s)" = Linux ] || return 1
    build_folder=$(mktemp -d)
    root=$build_folder/root
    mkdir -p "$root/usr/local/bin" "$root/data" "$root/tmp"
    chmod 1777 "$root/tmp"
    copy_with_libraries "$server" "$root"
    # The client is a convenience for whoever looks into the container.
    for client in redis-cli valkey-cli; do
        if command -v "$client" >/dev/null 2>&1; then
            copy_with_libraries "$(command -v "$client")" "$root"
        fi
    done
    name=$(basename "$server")
    tar -C "$root" -cf - . | docker import \
        --change 'ENV PATH=/usr/local/bin' --change 'WORKDIR /data' --change 'EXPOSE 6379' --change "CMD [\"$name\"]" \
        - "$local_image" >/dev/null || return 1
    rm -rf "$build_folder"
    if ! docker run --rm --network none "$local_image" "$name" --version >/dev/null 2>&1; then
        docker image rm "$local_image" >/dev/null 2>&1 || true
        return 1
    fi
}

# have_image: an image that is there or can be pulled. The local one only stands in for the default, not for an image that
# was asked for by name.
have_image() {
    if image_present "$wanted_image"; then
        say "image $wanted_image is there"
        return 0
    fi
    if [ -z "${LOCKJAM_REDIS_IMAGE:-}" ] && image_present "$local_image"; then
        say "image $local_image is there"
        return 0
    fi
    say "pulling $wanted_image (at most $pull_limit_s s)"
    if bounded "$pull_limit_s" docker pull --quiet "$wanted_image" >/dev/null 2>&1; then
        say "image $wanted_image is there"
        return 0
    fi
    say "image $wanted_image cannot be pulled"
    return 1
}

both=no
case "${1:-}" in
'') ;;
--tests) both=yes ;;
*) fail "unknown argument $1; usage: scripts/setup.sh [--tests]" ;;
esac
trap '[ -z "$build_folder" ] || rm -rf "$build_folder"; remove_policy' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

docker=no
image=no
if docker_answers; then
    docker=yes
    if have_image; then image=yes; fi
else
    say "Docker does not answer"
fi

server=$(find_server || true)
if [ -z "$server" ] && { [ "$image" = no ] || [ "$both" = yes ]; }; then
    install_server || say "no package manager here could install a Redis"
    server=$(find_server || true)
fi
[ -z "$server" ] || say "$server is there"

if [ "$docker" = yes ] && [ "$image" = no ] && [ -n "$server" ]; then
    if image_present "$local_image"; then
        say "image $local_image is there"
        image=yes
    else
        say "building $local_image from $server"
        if build_image "$server"; then
            image=yes
            say "image $local_image is built"
        else
            say "image $local_image could not be built"
        fi
    fi
    if [ "$image" = yes ] && [ -n "${LOCKJAM_REDIS_IMAGE:-}" ]; then
        say "use it with: lockjam run --image $local_image"
    fi
fi

if [ "$image" = no ] && [ -z "$server" ]; then
    fail "no Redis found: start Docker (with access to $wanted_image), or install redis-server (Debian, Ubuntu: apt-get install redis-server; Fedora: dnf install valkey; Alpine: apk add redis; macOS: brew install redis)."
fi
if [ "$both" = yes ]; then
    install_viewers
    [ "$image" = yes ] || say "no image: the tests with a container will be skipped"
    [ -n "$server" ] || say "no redis-server on PATH: the tests with a process will be skipped"
fi
say "ready"
