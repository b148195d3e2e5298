// Regular expressions matched against whole strings, or searched for, in time proportional to the pattern times the text
// (a search: from each position) by Thompson's simulation of all alternatives at once, so that no pattern can run away.
//
// Syntax, a subset of RE2: literals, . (not a newline), [classes] with ranges and ^, \d \D \s \S \w \W \b \B, escapes of
// punctuation, \n \r \t \f \v, groups (..) and (?:..), |, * + ? {m} {m,} {m,n} and their lazy forms, ^ and $.
// Characters are code points. Anything else (back references, look-around, flags, \p) is refused.
#pragma once

#include "ir/ops/algorithms/unicode.h"

namespace ingot_alg {

inline constexpr int32_t kMaxRegexNodes = 20000;  // of the compiled pattern, counted repetitions written out
inline constexpr int32_t kMaxRegexDepth = 100;  // of groups
inline constexpr int32_t kMaxRegexRepeat = 1000;

struct RegexNode {
  enum Kind : uint8_t { Char, Any, Class, Split, Jump, Begin, End, Boundary, NotBoundary, Match } kind;
  int32_t a, b;  // Char: the code point. Class: bytes [a, b) of the pattern. Split: both ways on. Jump: the way on
};

class Regex {
 public:
  Regex(ingot_string pattern, RegexNode* nodes) : pattern_(pattern), nodes_(nodes) {}

  // False: the pattern is not in the syntax, or too large.
  bool compile() {
    at_ = 0;
    alternatives(0);
    if (at_ != pattern_.size) ok_ = false;
    emit(RegexNode::Match);
    return ok_;
  }
  int32_t size() const { return size_; }

  // `work` has room for 3*size() numbers.
  bool matches(const ingot_string& text, int32_t* work) {
    int32_t *now = work, *next = work + size_, *seen = work + 2 * size_;
    for (int32_t k = 0; k < size_; ++k) seen[k] = -1;
    int64_t at = 0;
    auto character = [&] { return at < text.size ? decode_utf8(text, &at) : -1; };
    int32_t c = character(), step = 0;
    int32_t n = add(now, 0, seen, step, 0, -1, c);
    while (c >= 0) {
      int32_t following = character(), m = 0;
      ++step;
      for (int32_t k = 0; k < n; ++k) {
        if (accepts(nodes_[now[k]], c)) m = add(next, m, seen, step, now[k] + 1, c, following);
      }
      int32_t* t = now;
      now = next;
      next = t;
      n = m;
      c = following;
    }
    for (int32_t k = 0; k < n; ++k) {
      if (nodes_[now[k]].kind == RegexNode::Match) return true;
    }
    return false;
  }

  // The leftmost match that begins at `from` or behind, and of these the longest. `work` has room for 3*size() numbers.
  bool find(const ingot_string& text, int64_t from, int32_t* work, int64_t* begin, int64_t* end) {
    int32_t before = -1;
    if (from > 0) {
      int64_t at = from - 1;
      while (at > 0 && (text.data[at] & 0xc0) == 0x80) --at;
      before = decode_utf8(text, &at);
    }
    for (int64_t at = from;;) {
      *begin = at;
      *end = longest(text, at, before, work);
      if (*end >= 0) return true;
      if (at >= text.size) return false;
      before = decode_utf8(text, &at);
    }
  }

 private:
  // Where the longest match that begins at `from` ends; -1: nowhere.
  int64_t longest(const ingot_string& text, int64_t from, int32_t before, int32_t* work) {
    int32_t *now = work, *next = work + size_, *seen = work + 2 * size_;
    for (int32_t k = 0; k < size_; ++k) seen[k] = -1;
    int64_t here = from, at = from, found = -1;
    auto character = [&] { return at < text.size ? decode_utf8(text, &at) : -1; };
    int32_t c = character(), step = 0;
    for (int32_t n = add(now, 0, seen, step, 0, before, c);;) {
      for (int32_t k = 0; k < n; ++k) {
        if (nodes_[now[k]].kind == RegexNode::Match) found = here;
      }
      if (c < 0 || n == 0) return found;
      here = at;
      int32_t following = character(), m = 0;
      ++step;
      for (int32_t k = 0; k < n; ++k) {
        if (accepts(nodes_[now[k]], c)) m = add(next, m, seen, step, now[k] + 1, c, following);
      }
      int32_t* t = now;
      now = next;
      next = t;
      n = m;
      c = following;
    }
  }

  int32_t emit(RegexNode::Kind kind, int32_t a = 0, int32_t b = 0) {
    if (size_ >= kMaxRegexNodes) {
      ok_ = false;
      return size_ - 1;
    }
    nodes_[size_] = {kind, a, b};
    return size_++;
  }
  bool more() const { return ok_ && at_ < pattern_.size; }
  char peek() const { return pattern_.data[at_]; }

  void alternatives(int depth) {
    if (depth > kMaxRegexDepth) {
      ok_ = false;
      return;
    }
    // split L1, L2; L1: first; jump end; L2: the next split, ... The jumps are chained through `a` until the end is known.
    int32_t jumps = -1;
    for (;;) {
      int32_t begin = size_;
      sequence(depth);
      if (!more() || peek() != '|') break;
      ++at_;
      insert(begin);
      jumps = emit(RegexNode::Jump, jumps);
      if (ok_) nodes_[begin] = {RegexNode::Split, begin + 1, size_};
    }
    while (ok_ && jumps >= 0) {
      int32_t next = nodes_[jumps].a;
      nodes_[jumps].a = size_;
      jumps = next;
    }
  }

  // Makes room for one node at `at`; the nodes behind it move on with their targets.
  void insert(int32_t at) {
    emit(RegexNode::Jump);
    if (!ok_) return;
    for (int32_t k = size_ - 1; k > at; --k) nodes_[k] = nodes_[k - 1];
    for (int32_t k = at + 1; k < size_; ++k) {
      RegexNode& n = nodes_[k];
      if (n.kind == RegexNode::Split) {
        n.a += n.a >= at;
        n.b += n.b >= at;
      } else if (n.kind == RegexNode::Jump) {
        n.a += n.a >= at;
      }
    }
  }

  void sequence(int depth) {
    while (more() && peek() != '|' && peek() != ')') {
      int64_t atom_begin = at_;
      int32_t begin = size_;
      atom(depth);
      int64_t atom_end = at_;
      int32_t least = 1, most = 1;
      bool repeated = quantifier(&least, &most);
      if (!ok_) return;
      if (!repeated) continue;
      int64_t after = at_;
      // Written out: the atom `least` times, then (most < 0) a loop, or optional copies.
      size_ = begin;
      auto again = [&] {
        at_ = atom_begin;
        atom(depth);
        if (at_ != atom_end) ok_ = false;
      };
      for (int32_t k = 0; k < least && ok_; ++k) again();
      if (most < 0) {
        int32_t loop = emit(RegexNode::Split);
        again();
        emit(RegexNode::Jump, loop);
        if (ok_) nodes_[loop] = {RegexNode::Split, loop + 1, size_};
      }
      for (int32_t k = least; k < most && ok_; ++k) {
        int32_t skip = emit(RegexNode::Split);
        again();
        if (ok_) nodes_[skip] = {RegexNode::Split, skip + 1, size_};
      }
      at_ = after;
    }
  }

  bool number(int32_t* n) {
    if (!more() || peek() < '0' || peek() > '9') return false;
    for (*n = 0; more() && peek() >= '0' && peek() <= '9'; ++at_) {
      *n = *n * 10 + (peek() - '0');
      if (*n > kMaxRegexRepeat) return false;
    }
    return true;
  }

  bool quantifier(int32_t* least, int32_t* most) {
    if (!more()) return false;
    char c = peek();
    if (c == '*' || c == '+' || c == '?') {
      ++at_;
      *least = c == '+' ? 1 : 0;
      *most = c == '?' ? 1 : -1;
    } else if (c == '{') {
      ++at_;
      if (!number(least)) ok_ = false;
      *most = *least;
      if (more() && peek() == ',') {
        ++at_;
        if (more() && peek() == '}') *most = -1;
        else if (!number(most) || *most < *least) ok_ = false;
      }
      if (!more() || peek() != '}') ok_ = false;
      ++at_;
    } else {
      return false;
    }
    if (more() && peek() == '?') ++at_;  // lazy: the same for a match of the whole
    if (more() && (peek() == '*' || peek() == '+')) ok_ = false;
    return true;
  }

  void atom(int depth) {
    char c = peek();
    if (c == '(') {
      ++at_;
      if (more() && peek() == '?') {
        ++at_;
        if (!more() || peek() != ':') ok_ = false;
        ++at_;
      }
      if (ok_) alternatives(depth + 1);
      if (!more() || peek() != ')') ok_ = false;
      ++at_;
    } else if (c == '[') {
      auto begin = static_cast<int32_t>(at_);
      ++at_;
      if (more() && peek() == '^') ++at_;
      if (more() && peek() == ']') ++at_;
      while (more() && peek() != ']') at_ += peek() == '\\' ? 2 : 1;
      if (at_ >= pattern_.size) ok_ = false;
      ++at_;
      emit(RegexNode::Class, begin, static_cast<int32_t>(at_));
    } else if (c == '.') {
      ++at_;
      emit(RegexNode::Any);
    } else if (c == '^' || c == '$') {
      ++at_;
      emit(c == '^' ? RegexNode::Begin : RegexNode::End);
    } else if (c == '*' || c == '+' || c == '?' || c == '{') {
      ok_ = false;
    } else if (c == '\\') {
      auto begin = static_cast<int32_t>(at_);
      if (at_ + 1 >= pattern_.size) {
        ok_ = false;
        return;
      }
      char e = pattern_.data[at_ + 1];
      at_ += 2;
      if (e == 'b' || e == 'B') emit(e == 'b' ? RegexNode::Boundary : RegexNode::NotBoundary);
      else if (is_class(e)) emit(RegexNode::Class, begin, begin + 2);
      else if (escaped(e) >= 0) emit(RegexNode::Char, escaped(e));
      else ok_ = false;
    } else {
      emit(RegexNode::Char, decode_utf8(pattern_, &at_));
    }
  }

  static bool is_class(char e) { return e == 'd' || e == 'D' || e == 's' || e == 'S' || e == 'w' || e == 'W'; }
  static bool word(int32_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  }
  static int32_t escaped(char e) {
    switch (e) {
      case 'n': return '\n';
      case 'r': return '\r';
      case 't': return '\t';
      case 'f': return '\f';
      case 'v': return '\v';
      default: return word(e) || e < 0 ? -1 : e;
    }
  }
  static bool in_named(char e, int32_t c) {
    switch (e) {
      case 'd': return c >= '0' && c <= '9';
      case 'D': return !(c >= '0' && c <= '9');
      case 's': return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
      case 'S': return !in_named('s', c);
      case 'w': return word(c);
      default: return !word(c);
    }
  }

  bool in_class(const RegexNode& n, int32_t c) const {
    if (pattern_.data[n.a] == '\\') return in_named(pattern_.data[n.a + 1], c);
    int64_t at = n.a + 1, end = n.b - 1;
    bool negated = pattern_.data[at] == '^', found = false;
    at += negated;
    auto member = [&](bool* named) -> int32_t {
      *named = false;
      if (pattern_.data[at] != '\\') return decode_utf8(pattern_, &at);
      char e = pattern_.data[at + 1];
      at += 2;
      if (is_class(e)) {
        *named = true;
        found = found || in_named(e, c);
        return -1;
      }
      return escaped(e);
    };
    while (at < end) {
      bool named;
      int32_t low = member(&named), high = low;
      if (named) continue;
      if (at + 1 < end && pattern_.data[at] == '-') {
        ++at;
        high = member(&named);
      }
      found = found || (c >= low && c <= high);
    }
    return found != negated;
  }

  bool accepts(const RegexNode& n, int32_t c) const {
    switch (n.kind) {
      case RegexNode::Char: return n.a == c;
      case RegexNode::Any: return c != '\n';
      case RegexNode::Class: return in_class(n, c);
      default: return false;
    }
  }

  // Follows what takes no character. Each node once per step.
  int32_t add(int32_t* list, int32_t n, int32_t* seen, int32_t step, int32_t start, int32_t before, int32_t after) {
    // The list doubles as the stack: nodes wait behind those that are done, at its far end.
    int32_t top = size_;
    auto push = [&](int32_t k) {
      if (seen[k] == step) return;
      seen[k] = step;
      list[--top] = k;
    };
    push(start);
    while (top < size_) {
      int32_t k = list[top++];
      const RegexNode& node = nodes_[k];
      bool boundary = (before >= 0 && word(before)) != (after >= 0 && word(after));
      switch (node.kind) {
        case RegexNode::Split:
          push(node.b);
          push(node.a);
          break;
        case RegexNode::Jump: push(node.a); break;
        case RegexNode::Begin:
          if (before < 0) push(k + 1);
          break;
        case RegexNode::End:
          if (after < 0) push(k + 1);
          break;
        case RegexNode::Boundary:
          if (boundary) push(k + 1);
          break;
        case RegexNode::NotBoundary:
          if (!boundary) push(k + 1);
          break;
        default: list[n++] = k;
      }
    }
    return n;
  }

  ingot_string pattern_;
  RegexNode* nodes_;
  int64_t at_ = 0;
  int32_t size_ = 0;
  bool ok_ = true;
};

}  // namespace ingot_alg
