# Prints the table of operators in README.md: awk -f docs/operators.awk ir/ops/ops_?.def
# A family is a comment line after an empty line, or the first of a file, up to its first ': '.
function finish() {
  if (count) printf "| %s | %d | %s |\n", title, count, names
  total += count
  count = 0
  names = ""
}
BEGIN { print "| family | count | operators |\n|---|---|---|" }
FNR == 1 || (blank && /^\/\/ /) {
  finish()
  title = $0
  sub(/^\/\/ (Family [A-Z]: )?/, "", title)
  sub(/(: .*|\.)$/, "", title)
  title = toupper(substr(title, 1, 1)) substr(title, 2)
}
{ blank = /^$/ }
/^(OP|COMPOSITE)\(/ && !/\/\/ inner$/ && title !~ /^Made by inference/ {
  match($0, /\([a-z0-9_]+/)
  names = names (count ? " " : "") "`" substr($0, RSTART + 1, RLENGTH - 1) "`"
  ++count
}
END {
  finish()
  printf "| | %d | and the control flow `if`, `loop` |\n", total
}
