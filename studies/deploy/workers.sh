#!/usr/bin/env bash
# Workers of one study on this machine, one for each device that is named; one that crashes is started again.
#
#   workers.sh STUDY DEVICE... [-- OPTION...]      workers.sh churn.toml gpu:0 gpu:1 -- --set search.trials=128
#
# The first Ctrl-C or SIGTERM has each worker finish its epoch and leave, the second ends them at once.
# LOSSREG: the command, lossreg; RESTARTS: how often each is started again, 20; PAUSE: seconds before that, 5.
set -u

lossreg=${LOSSREG:-lossreg} restarts=${RESTARTS:-20} pause=${PAUSE:-5}

# ------------------------------------------------------------------ one process, which signals are passed on to
came=0 passed=0 child=

pass_on() {
    if [[ -n $child && $passed -lt $came ]]; then
        passed=$came
        kill -TERM "$child" 2>/dev/null
    fi
}

run() { # the command given, to its end
    "$@" &
    child=$!
    pass_on
    await "$child"
    child=
}

await() { # a process, to its end; a signal interrupts `wait`, not the process
    wait "$1"
    code=$?
    while kill -0 "$1" 2>/dev/null; do
        wait "$1"
        code=$?
    done
}

# ------------------------------------------------------------------ a worker, until it has ended in order
keep() {
    local device=$1 starts=0
    trap 'came=$((came + 1)); pass_on' TERM
    while true; do
        run "$lossreg" worker "$study" --device "$device" ${options[@]+"${options[@]}"}
        case $code in
            0 | 2 | 129 | 130 | 143) break ;; # finished, wrong input, or asked to leave
        esac
        starts=$((starts + 1))
        if [[ $came -gt 0 || $starts -gt $restarts ]]; then
            break
        fi
        echo "workers.sh: the worker on $device ended with code $code; start $starts of $restarts follows" >&2
        run sleep "$pause"
        if [[ $came -gt 0 ]]; then
            break
        fi
    done
    exit "$code"
}

study=${1:?"usage: workers.sh STUDY DEVICE... [-- OPTION...]"}
shift
devices=()
while [[ $# -gt 0 && $1 != -- ]]; do
    devices+=("$1")
    shift
done
options=("${@:2}")
if [[ ${#devices[@]} -eq 0 ]]; then
    echo "workers.sh: name a device for each worker, such as: workers.sh $study gpu:0 gpu:1" >&2
    exit 2
fi

keepers=() early=
trap 'early=yes' INT TERM HUP
for device in "${devices[@]}"; do
    keep "$device" &
    keepers+=("$!")
done
trap 'kill -TERM "${keepers[@]}" 2>/dev/null' INT TERM HUP
if [[ -n $early ]]; then
    kill -TERM "${keepers[@]}"
fi
worst=0
for keeper in "${keepers[@]}"; do
    await "$keeper"
    if [[ $code -gt $worst ]]; then
        worst=$code
    fi
done
exit "$worst"
