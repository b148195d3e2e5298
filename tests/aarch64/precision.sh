#!/bin/sh
# Models in bf16 and f16 on AArch64, under qemu, against their stored f32 outputs: within a share of the largest output. Exit 77:
# skipped, and the output says why.
#
#   precision.sh INGOT RUNNER MODELS_DIR
set -eu
ingot=$1 runner=$2 models=$3

skip() { echo "skipped: $*"; exit 77; }
command -v qemu-aarch64 >/dev/null || skip "there is no qemu-aarch64"
[ -x "$runner" ] || skip "there is no $runner: the cross compiler was missing when the build was configured"
[ -d "$models" ] || skip "there is no $models"

names='^(assembled-here/cifar10_resnet20|audio/micro_kws_m_fp32|classification/mnist-8|control/mujoco_g1)$'
check() {
  echo "$1 on $2, within $3 of the largest output"
  "$ingot" conformance "$models" --backend llvm --precision "$1" --lower-logits --target "$2" \
    --runner "qemu-aarch64 -cpu max $runner" --tolerance model --rtol 0 --atol "$3" --timeout 300 --filter "$names"
}
check bf16 aarch64 2e-2
check bf16 neoverse-v1 2e-2
check f16 neoverse-v1 4e-3
check f16 aarch64-dotprod 4e-3
