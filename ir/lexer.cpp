#include "ir/lexer.h"

#include <charconv>

namespace ingot {

namespace {
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name(char c) { return is_letter(c) || is_digit(c) || c == '.'; }
int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}
}  // namespace

bool is_identifier(std::string_view s) {
  if (s.empty() || !is_letter(s[0])) return false;
  for (char c : s)
    if (!is_name(c)) return false;
  return true;
}

std::string quoted(std::string_view s) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (char c : s) {
    auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') out += '\\', out += c;
    else if (c == '\n') out += "\\n";
    else if (c == '\t') out += "\\t";
    else if (c == '\r') out += "\\r";
    else if (u < 0x20 || u == 0x7f) out += "\\x", out += kHex[u >> 4], out += kHex[u & 15];
    else out += c;
  }
  return out + "\"";
}

void Lexer::lex_string(Token& t) {
  auto fail = [&](std::string why) {
    t.kind = Token::Kind::Invalid;
    problem_ = std::move(why);
  };
  ++at_;
  while (at_ < text_.size() && text_[at_] != '"') {
    char c = text_[at_++];
    if (c != '\\') {
      t.text += c;
      continue;
    }
    char e = at_ < text_.size() ? text_[at_++] : '\0';
    switch (e) {
      case 'n': t.text += '\n'; break;
      case 't': t.text += '\t'; break;
      case 'r': t.text += '\r'; break;
      case '"':
      case '\\': t.text += e; break;
      case 'x': {
        int hi = at_ < text_.size() ? hex_digit(text_[at_]) : -1;
        int lo = at_ + 1 < text_.size() ? hex_digit(text_[at_ + 1]) : -1;
        if (hi < 0 || lo < 0) return fail("got a malformed \\x escape, expected two hexadecimal digits");
        t.text += static_cast<char>(hi * 16 + lo);
        at_ += 2;
        break;
      }
      default: return fail("got an unknown escape in a string, expected one of \\n \\t \\r \\\\ \\\" \\xHH");
    }
  }
  if (at_ >= text_.size()) return fail("got the end of the text, expected '\"'");
  ++at_;
}

void Lexer::next() {
  while (at_ < text_.size()) {
    char c = text_[at_];
    if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
      ++at_;
    } else if (c == '/' && at_ + 1 < text_.size() && text_[at_ + 1] == '/') {
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
    } else {
      break;
    }
  }
  Token t;
  t.offset = at_;
  if (at_ >= text_.size()) {
    token_ = t;
    return;
  }
  char c = text_[at_];
  if (is_letter(c)) {
    t.kind = Token::Kind::Identifier;
    while (at_ < text_.size() && is_name(text_[at_])) ++at_;
    t.text = std::string(text_.substr(t.offset, at_ - t.offset));
  } else if (c == '%') {
    t.kind = Token::Kind::Value;
    ++at_;
    if (at_ < text_.size() && text_[at_] == '"') {
      lex_string(t);
    } else {
      while (at_ < text_.size() && (is_name(text_[at_]) || text_[at_] == '$' || text_[at_] == '/')) ++at_;
      t.text = std::string(text_.substr(t.offset + 1, at_ - t.offset - 1));
      if (t.text.empty()) {
        t.kind = Token::Kind::Invalid;
        problem_ = "got '%' alone, expected the name of a value";
      }
    }
  } else if (c == '"') {
    t.kind = Token::Kind::String;
    lex_string(t);
  } else if (is_digit(c)) {
    const char* begin = text_.data() + at_;
    const char* end = text_.data() + text_.size();
    auto whole = std::from_chars(begin, end, t.integer);
    bool is_float = whole.ptr != end && (*whole.ptr == '.' || *whole.ptr == 'e' || *whole.ptr == 'E');
    auto number = std::from_chars(begin, end, t.number);
    t.kind = is_float ? Token::Kind::Float : Token::Kind::Integer;
    auto used = is_float ? number : whole;
    at_ += static_cast<size_t>(used.ptr - begin);
    if (used.ec != std::errc()) {
      t.kind = Token::Kind::Invalid;
      problem_ = "got a number that is too large";
    }
  } else {
    t.kind = Token::Kind::Punctuation;
    std::string_view two = text_.substr(at_, 2);
    at_ += two == "->" || two == "==" || two == "<=" || two == ">=" ? 2 : 1;
  }
  t.source = text_.substr(t.offset, at_ - t.offset);
  token_ = std::move(t);
}

Token Lexer::take() {
  Token t = std::move(token_);
  if (t.kind != Token::Kind::Invalid) next();
  else token_ = t;
  return t;
}

bool Lexer::is(std::string_view punctuation) const {
  return (token_.kind == Token::Kind::Punctuation || token_.kind == Token::Kind::Identifier) &&
         token_.source == punctuation;
}

bool Lexer::accept(std::string_view punctuation) {
  if (!is(punctuation)) return false;
  next();
  return true;
}

Result<void> Lexer::expect(std::string_view punctuation) {
  if (accept(punctuation)) return {};
  return error("'" + std::string(punctuation) + "'");
}

Result<std::string> Lexer::identifier(std::string_view what) {
  if (token_.kind != Token::Kind::Identifier && token_.kind != Token::Kind::String) return error(what);
  return take().text;
}

Result<int64_t> Lexer::integer() {
  bool negative = accept("-");
  uint64_t limit = static_cast<uint64_t>(INT64_MAX) + (negative ? 1 : 0);
  if (token_.kind != Token::Kind::Integer || token_.integer > limit) return error("a 64-bit integer");
  uint64_t v = take().integer;
  return static_cast<int64_t>(negative ? 0 - v : v);
}

Error Lexer::error_at(const Token& token, std::string message) const {
  size_t line = 1, column = 1;
  for (size_t i = 0; i < token.offset && i < text_.size(); ++i) {
    if (text_[i] == '\n') ++line, column = 1;
    else ++column;
  }
  return invalid("{}:{}: {}", line, column, message);
}

Error Lexer::error(std::string_view expected) const {
  if (token_.kind == Token::Kind::Invalid) return error_at(token_, problem_);
  constexpr size_t kShown = 40;
  std::string got = at_end() ? "the end of the text" : "'" + std::string(token_.source.substr(0, kShown)) + "'";
  return error_at(token_, "got " + got + ", expected " + std::string(expected));
}

}  // namespace ingot
