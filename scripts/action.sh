#!/bin/sh
# The steps of action.yml. Everything that they are told comes in the environment.
#
#   scripts/action.sh build     ACTION_PATH, GO_REDIS; builds lockjam into RUNNER_TEMP
#   scripts/action.sh run       SCENARIOS, ARGS, SERVER, IMAGE, OUT; never fails: exit tells
#   scripts/action.sh compare   BASELINE, RUN_FOLDER, FAIL_ON
#   scripts/action.sh exit      EXIT_CODE
set -eu

lockjam=$RUNNER_TEMP/lockjam/lockjam

build() {
    # A copy, because go.mod is changed for another go-redis, and others may use the checkout.
    source=$RUNNER_TEMP/lockjam/source
    workspace=$PWD
    mkdir -p "$source"
    cp -R "$ACTION_PATH/." "$source"
    cd "$source"
    if [ -n "$GO_REDIS" ]; then
        if [ -d "$workspace/$GO_REDIS" ]; then
            go mod edit -replace "github.com/redis/go-redis/v9=$workspace/$GO_REDIS"
        else
            go get "github.com/redis/go-redis/v9@$GO_REDIS"
        fi
    fi
    go build -mod=mod -o "$lockjam" ./cmd/lockjam
    "$lockjam" version
}

run() {
    # Lists of words, from the user's own workflow: they are split, and nothing in them is expanded.
    set -f
    # shellcheck disable=SC2086
    set -- $SCENARIOS $ARGS --server "$SERVER" --out "$OUT"
    if [ -n "$IMAGE" ]; then
        set -- "$@" --image "$IMAGE"
    fi
    # latest is what is looked at afterwards: one of an earlier step is not this run's.
    rm -f "$OUT/latest"
    code=0
    # What lockjam prints quotes servers and scenario files: a runner takes no commands from it.
    token=lockjam-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    echo "::stop-commands::$token"
    "$lockjam" run "$@" || code=$?
    echo "::$token::"
    echo "exit-code=$code" >>"$GITHUB_OUTPUT"
    if [ -d "$OUT/latest" ]; then
        echo "run-folder=$OUT/$(readlink "$OUT/latest")" >>"$GITHUB_OUTPUT"
        "$lockjam" report "$OUT/latest" --format github
    fi
}

compare() {
    set -- "$BASELINE" "$RUN_FOLDER"
    if [ -n "$FAIL_ON" ]; then
        set -- "$@" --fail-on "$FAIL_ON"
    fi
    code=0
    "$lockjam" compare "$@" --format markdown >"$RUNNER_TEMP/lockjam/compare.md" || code=$?
    cat "$RUNNER_TEMP/lockjam/compare.md" >>"$GITHUB_STEP_SUMMARY"
    case $code in
    0) ;;
    1) echo "::error title=lockjam%3A worse than the baseline::The summary of the job says what changed." ;;
    2) echo "::error title=lockjam%3A whether it is worse cannot be told::The summary of the job says why." ;;
    *) echo "::error title=lockjam%3A not compared with the baseline::The log of this step says why." ;;
    esac
    exit "$code"
}

case ${1-} in
build | run | compare) "$1" ;;
exit) exit "${EXIT_CODE:-70}" ;;
*)
    echo "usage: scripts/action.sh build|run|compare|exit" >&2
    exit 64
    ;;
esac
