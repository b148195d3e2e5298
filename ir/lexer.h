// Splits IR text into tokens, for the parsers of every level.
//
//   f32  batch  conv1.bias   identifiers: [A-Za-z_][A-Za-z0-9_.]*
//   %x   %"a b"              values: [A-Za-z0-9_.$/]+ or a string after %
//   12   1.5   2e-3          numbers, without a sign
//   "a\n\"b\"\x00"           strings; escapes \n \t \r \\ \" \xHH
//   ->  ==  <=  >=  and any other single character; // starts a comment
//
// Errors name line and column: "3:14: got ')', expected a value".
#pragma once

#include <string>
#include <string_view>

#include "support/result.h"

namespace ingot {

struct Token {
  enum class Kind : uint8_t { End, Identifier, Value, Integer, Float, String, Punctuation, Invalid };
  Kind kind = Kind::End;
  std::string_view source;   // as written
  std::string text;          // of Identifier, Value, String: without quotes and escapes
  uint64_t integer = 0;
  double number = 0;         // Integer and Float
  size_t offset = 0;
};

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) { next(); }

  const Token& peek() const { return token_; }
  Token take();
  bool at_end() const { return token_.kind == Token::Kind::End; }
  bool is(std::string_view punctuation) const;          // or an identifier, as written
  bool accept(std::string_view punctuation);
  Result<void> expect(std::string_view punctuation);
  Result<std::string> identifier(std::string_view what);  // an identifier or a string
  Result<int64_t> integer();                              // with a sign
  Error error(std::string_view expected) const;           // "got X, expected Y" at the next token
  Error error_at(const Token& token, std::string message) const;

 private:
  void next();
  void lex_string(Token& t);
  std::string_view text_;
  size_t at_ = 0;
  Token token_;
  std::string problem_;   // of an invalid token
};

bool is_identifier(std::string_view);   // may be written without quotes
std::string quoted(std::string_view);

}  // namespace ingot
