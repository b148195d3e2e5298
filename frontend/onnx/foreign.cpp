#include "frontend/onnx/foreign.h"

#include <algorithm>
#include <cctype>
#include <string>

namespace ingot::onnx {

namespace {

constexpr size_t kLookedAt = 4096;  // bytes from the beginning that decide what a file is

// The beginnings that identify a format: of its specification, or of the tool that writes it.
struct Magic {
  size_t at;
  std::string_view bytes;
  ForeignFile file;
};
using namespace std::string_view_literals;
constexpr std::string_view kLfsPointer = "version https://git-lfs.";
constexpr Magic kMagics[] = {
    {0,
     "version https://git-lfs."sv,
     {"a pointer of Git LFS to the file", "fetch the file itself with `git lfs pull`"}},
    {0, "\x1f\x8b"sv, {"compressed (gzip)", "unpack it with `gunzip` or `tar -xzf`"}},
    {0, "\x28\xb5\x2f\xfd"sv, {"compressed (Zstandard)", "unpack it with `zstd -d`"}},
    {0,
     "\xfd"
     "7zXZ"sv,
     {"compressed (xz)", "unpack it with `xz -d`"}},
    {0, "BZh"sv, {"compressed (bzip2)", "unpack it with `bunzip2`"}},
    {257, "ustar"sv, {"a tar archive", "unpack it with `tar -xf` and give the model in it"}},
    {0, "GGUF"sv, {"a GGUF file (llama.cpp)", "export the model to ONNX from where it was made"}},
    {4, "TFL3"sv, {"a TensorFlow Lite model", "convert it to ONNX with tf2onnx (`--tflite`)"}},
    {4, "ORTM"sv, {"a model in ONNX Runtime's own format (.ort)", "give the .onnx file that it was made from"}},
    {0, "\x93NUMPY"sv, {"a NumPy array (.npy)", "give it as an input of a model, `--input NAME=FILE`"}},
    {0,
     "\x89HDF\r\n\x1a\n"sv,
     {"an HDF5 file (Keras)", "convert it to ONNX with tf2onnx (`--saved-model`, after Keras' export)"}},
    {0, "INGOT\r\n\x1a"sv, {"a compiled model of Ingot (.ingot)", "run it with `ingot run`, or give the .onnx file"}},
    {0,
     "\x7f"
     "ELF"sv,
     {"an ELF executable or library", "give an .onnx file"}},
    {0, "\x89PNG\r\n"sv, {"a PNG image", "give an .onnx file"}},
    {0, "\xff\xd8\xff"sv, {"a JPEG image", "give an .onnx file"}},
    {0, "%PDF-"sv, {"a PDF document", "give an .onnx file"}},
};

constexpr ForeignFile kHtml = {"an HTML page",
                               "a download gave a page in place of the file: follow its link to the raw file"};
constexpr ForeignFile kJson = {"JSON text", "give an .onnx file"};
constexpr ForeignFile kText = {"text", "give an .onnx file, which is binary"};
constexpr ForeignFile kTorch = {"a zip archive of PyTorch", "export the model to ONNX with torch.onnx.export"};
constexpr ForeignFile kNpz = {"a zip archive of NumPy arrays (.npz)",
                              "give its arrays as inputs of a model, `--input NAME=FILE` each"};
constexpr ForeignFile kZip = {"a zip archive", "unpack it with `unzip` and give the model in it"};
constexpr ForeignFile kPickle = {"a Python pickle",
                                 "load it in Python where it was made, and export the model to ONNX"};
constexpr ForeignFile kSafetensors = {"a safetensors file, which holds weights and no network",
                                      "export the model to ONNX from the program that has the network"};
constexpr ForeignFile kZeros = {"nothing but zero bytes", "the download did not finish: fetch the file again"};
constexpr ForeignFile kEmpty = {"empty", "fetch or export the model again"};

bool has(std::string_view text, size_t at, std::string_view magic) {
  return text.size() >= at && text.substr(at).starts_with(magic);
}

bool begins_with_word(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() && std::equal(lower.begin(), lower.end(), text.begin(), [](char a, char b) {
           return a == std::tolower(static_cast<unsigned char>(b));
         });
}

// u64 size of the header, then the header, an object of JSON.
bool is_safetensors(std::string_view head, size_t size) {
  if (head.size() < 9 || head[8] != '{') return false;
  uint64_t header = 0;
  for (size_t i = 0; i < 8; ++i) header |= static_cast<uint64_t>(static_cast<uint8_t>(head[i])) << (8 * i);
  return header <= size - 8;
}

// A pickle of protocol 2 to 5: PROTO, its number, then an opcode that may begin one.
bool is_pickle(std::string_view head) {
  return head.size() > 2 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5 &&
         std::string_view("\x95}](cX\x8a\x8c").find(head[2]) != std::string_view::npos;
}

std::optional<ForeignFile> archive(std::string_view head) {
  if (!has(head, 0, "PK\x03\x04") && !has(head, 0, "PK\x05\x06")) return std::nullopt;
  if (head.find("data.pkl") != head.npos || head.find("constants.pkl") != head.npos ||
      head.find("/byteorder") != head.npos)
    return kTorch;
  if (head.find(".npy") != head.npos) return kNpz;
  return kZip;
}

}  // namespace

bool is_lfs_pointer(Bytes bytes) {
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).starts_with(kLfsPointer);
}

std::optional<ForeignFile> recognise_foreign(Bytes bytes) {
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), kLookedAt));
  if (head.empty()) return kEmpty;
  for (const Magic& m : kMagics)
    if (has(head, m.at, m.bytes)) return m.file;
  if (auto zip = archive(head)) return zip;
  if (is_safetensors(head, bytes.size())) return kSafetensors;
  if (is_pickle(head)) return kPickle;
  if (std::all_of(head.begin(), head.end(), [](char c) { return c == 0; })) return kZeros;
  const size_t space = head.starts_with("\xef\xbb\xbf") ? 3 : 0;
  const size_t first = head.find_first_not_of(" \t\r\n", space);
  if (first == head.npos) return kText;
  const std::string_view text = head.substr(first);
  for (std::string_view tag : {"<!doctype html", "<html", "<head", "<body", "<?xml", "<!--"})
    if (begins_with_word(text, tag)) return kHtml;
  const bool printed = std::all_of(
      head.begin(), head.end(), [](char c) { return (c >= 0x20 && c < 0x7f) || c == '\t' || c == '\r' || c == '\n'; });
  if (printed && (text[0] == '{' || text[0] == '[')) return kJson;
  if (printed) return kText;
  return std::nullopt;
}

}  // namespace ingot::onnx
