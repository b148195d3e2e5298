#!/bin/sh
# Compiles the models of models.txt for AArch64, runs them under qemu and compares with their stored outputs. Exit 77:
# skipped, and the output says why.
#
#   models.sh INGOT RUNNER MODELS_DIR [ARGS OF ingot conformance...]
set -eu
ingot=$1 runner=$2 models=$3
shift 3
list=$(dirname "$0")/models.txt

skip() { echo "skipped: $*"; exit 77; }
command -v qemu-aarch64 >/dev/null || skip "there is no qemu-aarch64"
[ -x "$runner" ] || skip "there is no $runner: the cross compiler was missing when the build was configured"
[ -d "$models" ] || skip "there is no $models"
exec "$ingot" conformance "$models" --backend llvm --target aarch64 --runner "qemu-aarch64 $runner" --tolerance model \
  --timeout 300 --filter "^($(paste -sd '|' "$list"))\$" "$@"
