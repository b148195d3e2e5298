/* Runs a compiled model on inputs filled with ones (dynamic dims are 1) and prints what comes out.
 *
 *   run model.ingot */
#include <ingot/ingot.h>
#include <stdio.h>
#include <stdlib.h>

static int failed(const char* what) {
  fprintf(stderr, "%s: %s\n", what, ingot_last_error());
  return 1;
}

int main(int argc, char** argv) {
  ingot_model* model;
  ingot_session* session;
  if (argc != 2) return fprintf(stderr, "usage: %s model.ingot\n", argv[0]), 2;
  if (ingot_model_load(argv[1], NULL, &model)) return failed("load");
  if (ingot_session_create(model, NULL, &session)) return failed("session");

  for (int32_t i = 0; i < ingot_model_input_count(model); i++) {
    const ingot_port* port = ingot_model_input(model, i);
    int64_t shape[INGOT_MAX_RANK], count = 1;
    if (port->kind != INGOT_KIND_TENSOR) return fprintf(stderr, "input %s is %s\n", port->name, port->type), 1;
    for (int32_t d = 0; d < port->rank; d++) count *= shape[d] = port->dims[d] < 0 ? 1 : port->dims[d];
    void* data = calloc(count ? count : 1, 16);
    if (port->dtype == INGOT_F32)
      for (int64_t k = 0; k < count; k++) ((float*)data)[k] = 1;
    DLTensor tensor = {data, {kDLCPU, 0}, port->rank, port->dl_dtype, shape, NULL, 0};
    if (ingot_session_set_input(session, i, &tensor)) return failed("input");
    free(data);
  }
  if (ingot_session_run(session)) return failed("run");

  for (int32_t i = 0; i < ingot_model_output_count(model); i++) {
    const ingot_port* port = ingot_model_output(model, i);
    const DLTensor* out;
    if (port->kind != INGOT_KIND_TENSOR) {
      printf("%s: %s\n", port->name, port->type);
      continue;
    }
    if (ingot_session_get_output(session, i, &out)) return failed("output");
    int64_t count = 1;
    printf("%s: %s[", port->name, ingot_dtype_name(port->dtype));
    for (int32_t d = 0; d < out->ndim; d++)
      printf("%s%lld", d ? "," : "", (long long)out->shape[d]), count *= out->shape[d];
    printf("]");
    for (int64_t k = 0; k < count && k < 8; k++) {
      if (port->dtype == INGOT_F32) printf(" %g", ((float*)out->data)[k]);
      if (port->dtype == INGOT_I64) printf(" %lld", (long long)((int64_t*)out->data)[k]);
    }
    printf("%s\n", count > 8 ? " ..." : "");
  }
  ingot_session_free(session);
  ingot_model_free(model);
  return 0;
}
