#!/bin/sh
# Builds images of other versions of Redis and Valkey out of Debian's packages, for `lockjam run --image A --image B`. It needs
# no registry: each image is the server, its client, and the libraries that those load.
#
#   scripts/images.sh                        the versions below
#   scripts/images.sh trixie/valkey-server   this one: SUITE/PACKAGE
#
# An image is called lockjam-redis:8.0, after the version that the suite has. One that is there is not built again: remove it
# (docker image rm) where the suite has moved on.
#
# Needs Docker, apt-get, dpkg-deb and Debian's archive keyring, and no root: nothing is installed here, and apt's own lists
# stay as they are. Takes some 20 s and 60 MB of downloads for each image.
#
# Environment: LOCKJAM_DEBIAN_MIRROR  the archive to load from (default: the one that apt uses on this machine)

set -eu

# Redis 6.0, 8.0 and 8.6, Valkey 8.1 and 9.1 when this was written.
default_wanted='bullseye/redis-server trixie/redis-server experimental/redis-server trixie/valkey-server sid/valkey-server'

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
label=dev.lockjam.package
folder=

say() { printf 'images: %s\n' "$*"; }

fail() {
    printf 'images: %s\n' "$*" >&2
    exit 1
}

find_mirror() {
    apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk '$1 == "Debian" && $2 !~ /security/ { print $2; exit }'
}

# image_of SUITE/PACKAGE prints the image that was made of it before, if any.
image_of() { docker image ls --filter "label=$label=$1" --format '{{.Repository}}:{{.Tag}}' | head -n 1; }

# private_apt COMMAND...: apt with lists, cache and status of its own, in which nothing is installed, so that every library
# that a server depends on is downloaded with it.
private_apt() {
    program=$1
    shift
    "$program" -qq \
        -o Dir::State="$folder/apt" -o Dir::State::status="$folder/apt/status" -o Dir::Cache="$folder/apt/cache" \
        -o Dir::Etc::sourcelist="$folder/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
        -o APT::Sandbox::User="$(id -un)" -o APT::Install-Recommends=false -o Acquire::Languages=none \
        "$@"
}

# download SUITE PACKAGE leaves the packages in $folder/apt/cache/archives.
download() {
    mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial"
    : >"$folder/apt/status"
    source="deb [signed-by=$keyring] $mirror"
    printf '%s %s main\n' "$source" "$1" >"$folder/apt/sources.list"
    # The archive of what is not ready yet has only that: the libraries are sid's.
    [ "$1" != experimental ] || printf '%s sid main\n' "$source" >>"$folder/apt/sources.list"
    private_apt apt-get update || return 1
    private_apt apt-get --download-only --yes install "$2/$1" >/dev/null
}

# copy_with_libraries BINARY: what the packages' own loader says that the binary loads goes to /lib, where it looks last, and
# the loader to where the binary asks for it. This machine's libraries have no part in it.
copy_with_libraries() {
    loader=$(find "$packages" -name 'ld-linux*.so.*' | head -n 1)
    libraries=$(find "$packages" -name '*.so.*' -exec dirname {} + | sort -u | tr '\n' ':')
    "$loader" --library-path "$libraries" --list "$1" >"$folder/libraries" || return 1
    if grep 'not found' "$folder/libraries" >&2; then return 1; fi
    cp -L "$1" "$root/usr/local/bin/"
    awk '$2 == "=>" { print $1, $3 }' "$folder/libraries" | while read -r library from; do
        case $library in
        /*) to=$root$library ;;
        *) to=$root/lib/$library ;;
        esac
        mkdir -p "$(dirname "$to")" && cp -L "$from" "$to" || return 1
    done
}

# build SUITE/PACKAGE makes the image, whose name is in $image then.
build() {
    server=${1#*/}
    name=${server%-server}
    folder=$(mktemp -d)
    packages=$folder/packages
    root=$folder/root
    download "${1%%/*}" "$server" || return 1
    mkdir -p "$packages" "$root/usr/local/bin" "$root/lib" "$root/data" "$root/tmp"
    chmod 1777 "$root/tmp"
    for package in "$folder"/apt/cache/archives/*.deb; do
        dpkg-deb --extract "$package" "$packages" || return 1
    done
    version=$(dpkg-deb --field "$folder/apt/cache/archives/${server}_"*.deb Version | sed 's/^[0-9]*://; s/^\([0-9]*\.[0-9]*\).*/\1/')
    image=lockjam-$name:$version
    for binary in "$server" "$name-cli"; do
        copy_with_libraries "$packages/usr/bin/$binary" || return 1
    done
    tar -C "$root" -cf - . | docker import \
        --change 'ENV PATH=/usr/local/bin' --change 'WORKDIR /data' --change 'EXPOSE 6379' --change "CMD [\"$server\"]" \
        --change "LABEL $label=$1" - "$image" >/dev/null || return 1
    if ! docker run --rm --network none "$image" "$server" --version; then
        docker image rm "$image" >/dev/null 2>&1 || true
        return 1
    fi
    tidy
}

tidy() {
    [ -z "$folder" ] || rm -rf "$folder"
    folder=
}

for program in docker apt-get dpkg-deb; do
    command -v "$program" >/dev/null 2>&1 || fail "$program is needed and is not on PATH"
done
docker version >/dev/null 2>&1 || fail "Docker does not answer"
[ -r "$keyring" ] || fail "$keyring is needed: install debian-archive-keyring"
mirror=${LOCKJAM_DEBIAN_MIRROR:-$(find_mirror)}
[ -n "$mirror" ] || fail "apt uses no archive of Debian's on this machine: set LOCKJAM_DEBIAN_MIRROR"
[ $# -gt 0 ] || set -- $default_wanted
for wanted in "$@"; do
    case $wanted in
    ?*/redis-server | ?*/valkey-server) ;;
    *) fail "$wanted is not SUITE/redis-server or SUITE/valkey-server" ;;
    esac
done
trap tidy EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

built=
failed=
for wanted in "$@"; do
    image=$(image_of "$wanted")
    if [ -n "$image" ]; then
        say "image $image is there ($wanted)"
    elif build "$wanted"; then
        say "image $image is built ($wanted)"
    else
        say "no image of $wanted" >&2
        failed=yes
        tidy
        continue
    fi
    built="$built --image $image"
done
[ -z "$built" ] || say "lockjam run$built"
[ -z "$failed" ]
