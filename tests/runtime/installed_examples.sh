#!/bin/sh
# Installs the runtime to an empty place, builds the examples against it as a stranger would (CMake package and
# pkg-config), and runs them on a compiled model.
#
#   installed_examples.sh BUILD_DIR SOURCE_DIR MODEL.ingot [EXPECTED_TEXT]
set -eu
build=$1 source=$2 model=$3 expected=${4:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/prefix" --component runtime > "$work/log"
cp -r "$source/examples" "$work/examples"
cmake -S "$work/examples" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" >> "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cmake --build "$work/build" >> "$work/log" 2>&1 || { cat "$work/log"; exit 1; }

pc=$(find "$work/prefix" -name ingot.pc)
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
${CC:-cc} -std=c11 "$work/examples/run.c" -o "$work/run_pc" $(pkg-config --cflags --libs ingot)
${CXX:-c++} -std=c++20 "$work/examples/run.cpp" -o "$work/run_pc_cpp" $(pkg-config --cflags --libs ingot)
LD_LIBRARY_PATH=$(pkg-config --variable=libdir ingot)
export LD_LIBRARY_PATH

for program in build/run_c build/run_cpp run_pc run_pc_cpp; do
  echo "== $program"
  "$work/$program" "$model" > "$work/out"
  cat "$work/out"
  if [ -n "$expected" ]; then grep -qF -- "$expected" "$work/out"; fi
done
