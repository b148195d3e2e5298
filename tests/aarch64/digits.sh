#!/bin/sh
# The shipped model, compiled for AArch64 and run under qemu, gives what it gives on this machine. Exit 77: skipped, and the
# output says why.
#
#   digits.sh INGOT RUNNER MODELS_DIR
set -eu
ingot=$1 runner=$2 models=$3

skip() { echo "skipped: $*"; exit 77; }
command -v qemu-aarch64 >/dev/null || skip "there is no qemu-aarch64"
[ -x "$runner" ] || skip "there is no $runner: the cross compiler was missing when the build was configured"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$ingot" compile "$models/digits.onnx" --target aarch64 -o "$work/digits.ingot" >/dev/null
numbers() { tail -c 40 "$1" | od -An -v -w4 -t f4; }  # ten classes
for digit in 0 1 2 3 4 5 6 7 8 9; do
  sample=$models/sample_$digit.npy
  "$ingot" run "$models/digits.onnx" --backend interpreter --input image="$sample" --output-dir "$work/here" >/dev/null
  qemu-aarch64 "$runner" "$work/digits.ingot" "$sample" -o "$work"
  numbers "$work/OUT0.npy" >"$work/got"
  numbers "$work"/here/*.npy >"$work/expected"
  paste "$work/got" "$work/expected" | awk -v digit="$digit" '
    { d = $1 - $2; if (d < 0) d = -d; if (!(d <= 1e-5)) { print "sample " digit ", class " NR - 1 ": got " $1 ", expected " $2; bad = 1 }
      if (NR == 1 || $1 > best) { best = $1; class = NR - 1 } }
    END { if (NR != 10) { print "got " NR " classes, expected 10"; bad = 1 }
          if (class != digit) { print "sample " digit " is taken for a " class; bad = 1 }
          exit bad }'
done
echo "10 samples agree"
