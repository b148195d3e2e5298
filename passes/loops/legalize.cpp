#include "passes/loops/legalize.h"

namespace ingot::l {

Result<void> legalize(Program&, const LegalizeOptions&) { return {}; }

}  // namespace ingot::l
