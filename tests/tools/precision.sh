#!/bin/sh
# Real models in bf16 and f16 against their stored outputs: classifiers decide the same, others stay within a share of the largest
# output. Exit 77: skipped, and the output says why.
#
#   precision.sh INGOT MODELS_DIR
set -eu
ingot=$1 models=$2
[ -d "$models" ] || { echo "skipped: there is no $models"; exit 77; }

deciding='^(classification/(mnist-8|mnist_cnn_pytorch|squeezenet1.0_fp16|squeezenet_tensor_input)|assembled-here/(cifar10_resnet20|squeezenet1.1|mobilenetv2_fp32_hybrid)|text/(tf_tinybert_mrpc|byte_bidi_lstm|magika_v3_3))$'
measuring='^(assembled-here/(cifar10_resnet20|stories260K|squeezenet1.1)|audio/(dtln_1|micro_kws_m_fp32)|classification/mnist-8|control/mujoco_g1|image2image/super_resolution_10|segmentation/deeplabv3_mnv2_dm05_513|text/byte_bidi_lstm)$'
check() {
  echo "$1: decisions, and within $2 of the largest output"
  "$ingot" conformance "$models" --backend llvm --precision "$1" --lower-logits --tolerance argmax --timeout 300 --filter "$deciding"
  "$ingot" conformance "$models" --backend llvm --precision "$1" --lower-logits --tolerance model --rtol 0 --atol "$2" \
    --timeout 300 --filter "$measuring"
}
check bf16 3e-2
check f16 4e-3
