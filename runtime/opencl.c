/* See opencl.h. */
#include "runtime/opencl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/internal.h"
#include "runtime/opencl_api.h"

enum {
  kMaxPlatforms = 16,
  kMaxDevices = 16,         /* of a platform */
  kWorkGroup = 64,          /* work-items of a group; grids are rounded up, kernels skip what is beyond */
  kLaunchesPerFlush = 32,
  kMaxIdlePrograms = 16,    /* compiled programs that are kept though no model uses them */
  kNameBytes = 64,          /* of a kernel function */
  kStatusBytes = 64,        /* code, node, count, padding; four arguments */
  kErrorText = 256
};

/* ---- the device of this process ---- */

#define DECLARE(result, function, parameters) result(*function) parameters;
static struct {
  INGOT_OPENCL_FUNCTIONS(DECLARE)
  pthread_mutex_t lock;     /* set-up and the list of programs */
  bool tried, usable, coarse, rounded_divide;
  char error[kErrorText];   /* why it is not usable */
  char name[128];
  cl_device_id device;
  cl_context context;
  cl_command_queue queue;   /* for copies of weights */
  struct built* programs;
} cl = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct built {              /* a compiled program, kept by its source's hash */
  struct built* next;
  uint8_t hash[32];
  cl_program program;
  int users;
};

static bool open_library(void) {
  void* library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    snprintf(cl.error, sizeof cl.error, "OpenCL: no library libOpenCL.so.1");
    return false;
  }
#define LOOK_UP(result, function, parameters)                                                                   \
  {                                                                                                             \
    void* f = dlsym(library, #function);                                                                        \
    if (!f) {                                                                                                   \
      snprintf(cl.error, sizeof cl.error, "OpenCL: libOpenCL.so.1 has no %s, expected version 2.0", #function); \
      return false;                                                                                             \
    }                                                                                                           \
    memcpy(&cl.function, &f, sizeof f);                                                                         \
  }
  INGOT_OPENCL_FUNCTIONS(LOOK_UP)
#undef LOOK_UP
  return true;
}

static bool find_device(void) {
  const char* wanted = getenv("INGOT_OPENCL_DEVICE");
  char* end = NULL;
  long number = wanted && *wanted ? strtol(wanted, &end, 10) : 0, seen = 0;
  if (number < 0 || (end && *end)) {
    snprintf(cl.error, sizeof cl.error, "OpenCL: got INGOT_OPENCL_DEVICE='%.40s', expected the number of a device",
             wanted);
    return false;
  }
  cl_platform_id platforms[kMaxPlatforms];
  uint32_t platform_count = 0;
  if (cl.clGetPlatformIDs(kMaxPlatforms, platforms, &platform_count)) platform_count = 0;
  for (uint32_t p = 0; p < platform_count && p < kMaxPlatforms; p++) {
    cl_device_id devices[kMaxDevices];
    uint32_t count = 0;
    if (cl.clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, kMaxDevices, devices, &count)) continue;
    for (uint32_t d = 0; d < count && d < kMaxDevices; d++)
      if (seen++ == number) {
        cl.device = devices[d];
        return true;
      }
  }
  if (seen) snprintf(cl.error, sizeof cl.error, "OpenCL: no device %ld, there are %ld", number, seen);
  else snprintf(cl.error, sizeof cl.error, "OpenCL: no device");
  return false;
}

static void set_up(void) {
  if (!open_library() || !find_device()) return;
  cl.clGetDeviceInfo(cl.device, CL_DEVICE_NAME, sizeof cl.name - 1, cl.name, NULL);
  uint64_t svm = 0, floats = 0;
  cl.clGetDeviceInfo(cl.device, CL_DEVICE_SVM_CAPABILITIES, sizeof svm, &svm, NULL);
  cl.clGetDeviceInfo(cl.device, CL_DEVICE_SINGLE_FP_CONFIG, sizeof floats, &floats, NULL);
  if (!(svm & (CL_SVM_COARSE | CL_SVM_FINE))) {
    snprintf(cl.error, sizeof cl.error, "OpenCL: device '%.100s' has no shared virtual memory", cl.name);
    return;
  }
  const char* grain = getenv("INGOT_OPENCL_SVM"); /* "coarse": for tests of what other devices need */
  cl.coarse = !(svm & CL_SVM_FINE) || (grain && !strcmp(grain, "coarse"));
  cl.rounded_divide = (floats & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT) != 0;
  int32_t status = 0;
  cl.context = cl.clCreateContext(NULL, 1, &cl.device, NULL, NULL, &status);
  if (cl.context) cl.queue = cl.clCreateCommandQueueWithProperties(cl.context, cl.device, NULL, &status);
  if (!cl.queue) {
    snprintf(cl.error, sizeof cl.error, "OpenCL: device '%.100s' cannot be opened (%d)", cl.name, status);
    return;
  }
  cl.usable = true;
}

ingot_status ingot_opencl_probe(void) {
  pthread_mutex_lock(&cl.lock);
  if (!cl.tried) set_up();
  cl.tried = true;
  bool usable = cl.usable;
  pthread_mutex_unlock(&cl.lock);
  return usable ? INGOT_OK : ingot_fail(INGOT_UNSUPPORTED, "%s", cl.error);
}

const char* ingot_opencl_name(void) { return cl.name; }

/* ---- programs ---- */

struct entry {
  char name[kNameBytes];
  uint32_t buffers, scalars;
};

struct ingot_program {
  struct built* built;
  struct entry* entries;
  uint32_t entry_count;
  uint8_t* weights;
};

/* The lines "// INDEX FUNCTION BUFFERS SCALARS" that the source begins with. */
static ingot_status read_table(struct ingot_program* p, const uint8_t* source, uint64_t size, uint32_t kernel_count) {
  p->entries = calloc((size_t)kernel_count + 1, sizeof *p->entries);
  if (!p->entries) return ingot_fail(INGOT_NO_MEMORY, "no memory for the table of kernels");
  for (uint64_t at = 0; at + 3 < size && source[at] == '/' && source[at + 1] == '/';) {
    const uint8_t* newline = memchr(source + at, '\n', size - at);
    char line[160];
    if (!newline || (size_t)(newline - (source + at)) >= sizeof line)
      return ingot_fail(INGOT_INVALID_FILE, "kernels: a line of the table is malformed");
    size_t length = (size_t)(newline - (source + at));
    memcpy(line, source + at, length);
    line[length] = 0;
    struct entry* e = &p->entries[p->entry_count];
    unsigned index;
    if (p->entry_count >= kernel_count ||
        sscanf(line, "// %u %63[A-Za-z0-9_] %u %u", &index, e->name, &e->buffers, &e->scalars) != 4 ||
        index != p->entry_count || e->buffers > 65536 || e->scalars > 65536)
      return ingot_fail(INGOT_INVALID_FILE, "kernels: got '%.100s' as line %u of the table", line, p->entry_count);
    p->entry_count++;
    at += length + 1;
  }
  return INGOT_OK;
}

static ingot_status build(struct built* b, const uint8_t* source, uint64_t size) {
  const char* text = (const char*)source;
  size_t length = size;
  int32_t status = 0;
  b->program = cl.clCreateProgramWithSource(cl.context, 1, &text, &length, &status);
  if (!b->program) return ingot_fail(INGOT_DEVICE_FAILED, "OpenCL: clCreateProgramWithSource gave %d", status);
  const char* options =
      cl.rounded_divide ? "-cl-std=CL1.2 -w -cl-fp32-correctly-rounded-divide-sqrt" : "-cl-std=CL1.2 -w";
  status = cl.clBuildProgram(b->program, 1, &cl.device, options, NULL, NULL);
  if (status == CL_SUCCESS) return INGOT_OK;
  char log[8192] = "";
  size_t used = 0;
  cl.clGetProgramBuildInfo(b->program, cl.device, CL_PROGRAM_BUILD_LOG, 0, NULL, &used);
  if (used <= sizeof log) cl.clGetProgramBuildInfo(b->program, cl.device, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL);
  cl.clReleaseProgram(b->program);
  return ingot_fail(INGOT_DEVICE_FAILED, "OpenCL: device '%s' did not compile the kernels (%d): %.1000s", cl.name,
                    status, log);
}

static void drop_idle(void) {
  int idle = 0;
  for (struct built** at = &cl.programs; *at;) {
    struct built* b = *at;
    if (b->users == 0 && ++idle > kMaxIdlePrograms) {
      *at = b->next;
      cl.clReleaseProgram(b->program);
      free(b);
    } else {
      at = &b->next;
    }
  }
}

static ingot_status built_program(const uint8_t* source, uint64_t size, const uint8_t hash[32], struct built** out) {
  ingot_status status = INGOT_OK;
  pthread_mutex_lock(&cl.lock);
  struct built* b = cl.programs;
  while (b && memcmp(b->hash, hash, sizeof b->hash)) b = b->next;
  if (!b) {
    b = calloc(1, sizeof *b);
    status = b ? build(b, source, size) : ingot_fail(INGOT_NO_MEMORY, "no memory for a program");
    if (status == INGOT_OK) {
      memcpy(b->hash, hash, sizeof b->hash);
      b->next = cl.programs;
      cl.programs = b;
    } else {
      free(b);
    }
  }
  if (status == INGOT_OK) {
    b->users++;
    *out = b;
    drop_idle();
  }
  pthread_mutex_unlock(&cl.lock);
  return status;
}

static void* shared_memory(uint64_t size) {
  return cl.clSVMAlloc(cl.context, CL_MEM_READ_WRITE | (cl.coarse ? 0 : CL_MEM_SVM_FINE_GRAIN_BUFFER), size ? size : 1,
                       kMemoryAlign);
}

/* Weights stay mapped for reading: kernels never write them, algorithms of the host read them. */
static ingot_status copy_weights(struct ingot_program* p, const uint8_t* weights, uint64_t size) {
  if (!size) return INGOT_OK;
  p->weights = shared_memory(size);
  if (!p->weights)
    return ingot_fail(INGOT_NO_MEMORY, "OpenCL: no memory for %llu bytes of weights", (unsigned long long)size);
  int32_t status = 0;
  if (cl.coarse) status = cl.clEnqueueSVMMap(cl.queue, 1, CL_MAP_WRITE, p->weights, size, 0, NULL, NULL);
  if (!status) memcpy(p->weights, weights, size);
  if (!status && cl.coarse) status = cl.clEnqueueSVMUnmap(cl.queue, p->weights, 0, NULL, NULL);
  if (!status && cl.coarse) status = cl.clEnqueueSVMMap(cl.queue, 1, CL_MAP_READ, p->weights, size, 0, NULL, NULL);
  return status ? ingot_fail(INGOT_DEVICE_FAILED, "OpenCL: mapping the weights gave %d", status) : INGOT_OK;
}

ingot_status ingot_program_create(const uint8_t* source, uint64_t source_bytes, const uint8_t hash[32],
                                  uint32_t kernel_count, const uint8_t* weights, uint64_t weights_bytes,
                                  struct ingot_program** out) {
  *out = NULL;
  ingot_status status = ingot_opencl_probe();
  if (status != INGOT_OK) return status;
  struct ingot_program* p = calloc(1, sizeof *p);
  if (!p) return ingot_fail(INGOT_NO_MEMORY, "no memory for the program");
  status = read_table(p, source, source_bytes, kernel_count);
  if (status == INGOT_OK) status = built_program(source, source_bytes, hash, &p->built);
  if (status == INGOT_OK) status = copy_weights(p, weights, weights_bytes);
  if (status != INGOT_OK) {
    ingot_program_free(p);
    return status;
  }
  *out = p;
  return INGOT_OK;
}

void ingot_program_free(struct ingot_program* p) {
  if (!p) return;
  if (p->weights) {
    if (cl.coarse) cl.clEnqueueSVMUnmap(cl.queue, p->weights, 0, NULL, NULL);
    cl.clFinish(cl.queue);
    cl.clSVMFree(cl.context, p->weights);
  }
  if (p->built) {
    pthread_mutex_lock(&cl.lock);
    p->built->users--;
    pthread_mutex_unlock(&cl.lock);
  }
  free(p->entries);
  free(p);
}

const uint8_t* ingot_program_weights(const struct ingot_program* p) { return p->weights; }
int ingot_program_has(const struct ingot_program* p, uint32_t kernel) { return kernel < p->entry_count; }

/* ---- sessions ---- */

struct allocation {
  void* data;
  size_t size;
};

struct ingot_device {
  const struct ingot_program* program;
  cl_command_queue queue;
  cl_kernel* kernels;       /* made on first use: arguments belong to one session */
  int32_t* status;          /* shared: what the first kernel that failed reports */
  struct allocation* allocations;
  size_t allocation_count, allocation_room;
  bool away;                /* coarse: the memory is the device's */
  int pending;              /* launches since the last wait */
  char error[kErrorText];
};

ingot_status ingot_device_create(const struct ingot_program* program, struct ingot_device** out) {
  struct ingot_device* d = calloc(1, sizeof *d);
  *out = d;
  if (!d) return ingot_fail(INGOT_NO_MEMORY, "no memory for the session");
  d->program = program;
  d->kernels = calloc((size_t)program->entry_count + 1, sizeof *d->kernels);
  int32_t status = 0;
  d->queue = cl.clCreateCommandQueueWithProperties(cl.context, cl.device, NULL, &status);
  if (d->queue) d->status = ingot_device_allocate(d, kStatusBytes);
  if (d->kernels && d->status) {
    memset(d->status, 0, kStatusBytes);
    return INGOT_OK;
  }
  ingot_device_free(d);
  *out = NULL;
  return ingot_fail(INGOT_DEVICE_FAILED, "OpenCL: no queue or memory on device '%s' (%d)", cl.name, status);
}

void ingot_device_free(struct ingot_device* d) {
  if (!d) return;
  while (d->allocation_count) ingot_device_release(d, d->allocations[0].data);
  for (uint32_t k = 0; d->kernels && k < d->program->entry_count; k++)
    if (d->kernels[k]) cl.clReleaseKernel(d->kernels[k]);
  if (d->queue) cl.clReleaseCommandQueue(d->queue);
  free(d->kernels);
  free(d->allocations);
  free(d);
}

static int32_t trouble(struct ingot_device* d, const char* what, const char* of, int32_t status) {
  if (!d->error[0]) snprintf(d->error, sizeof d->error, "OpenCL: %s%s gave %d", what, of, status);
  return INGOT_RUN_DEVICE;
}

static int32_t map(struct ingot_device* d, const struct allocation* a) {
  return cl.clEnqueueSVMMap(d->queue, 0, CL_MAP_READ | CL_MAP_WRITE, a->data, a->size, 0, NULL, NULL);
}

/* The memory is the host's when this returns. */
static int32_t settle(struct ingot_device* d) {
  if (!d->pending && !d->away) return 0;
  int32_t status = 0;
  for (size_t i = 0; d->away && i < d->allocation_count && !status; i++) status = map(d, &d->allocations[i]);
  d->away = false;
  int32_t finished = cl.clFinish(d->queue);
  d->pending = 0;
  if (status || finished) return trouble(d, "waiting for the device", "", status ? status : finished);
  return 0;
}

void ingot_device_claim(struct ingot_device* d) {
  if (cl.coarse) settle(d);
}

void* ingot_device_allocate(struct ingot_device* d, int64_t size) {
  if (cl.coarse && settle(d)) return NULL;
  if (d->allocation_count == d->allocation_room) {
    size_t room = d->allocation_room ? 2 * d->allocation_room : 16;
    struct allocation* more = realloc(d->allocations, room * sizeof *more);
    if (!more) return NULL;
    d->allocations = more;
    d->allocation_room = room;
  }
  struct allocation a = {shared_memory((uint64_t)size), (size_t)(size ? size : 1)};
  if (!a.data) return NULL;
  if (cl.coarse && (map(d, &a) || cl.clFinish(d->queue))) {
    cl.clSVMFree(cl.context, a.data);
    return NULL;
  }
  d->allocations[d->allocation_count++] = a;
  return a.data;
}

void ingot_device_release(struct ingot_device* d, void* data) {
  settle(d);
  for (size_t i = 0; i < d->allocation_count; i++) {
    if (d->allocations[i].data != data) continue;
    d->allocations[i] = d->allocations[--d->allocation_count];
    if (cl.coarse) {
      cl.clEnqueueSVMUnmap(d->queue, data, 0, NULL, NULL);
      cl.clFinish(d->queue);
    }
    cl.clSVMFree(cl.context, data);
    return;
  }
}

int32_t ingot_device_launch(struct ingot_device* d, int32_t kernel, void* const* buffers, const int64_t* scalars,
                            int64_t items) {
  if (kernel < 0 || (uint32_t)kernel >= d->program->entry_count)
    return trouble(d, "a kernel that does not exist", "", kernel);
  const struct entry* e = &d->program->entries[kernel];
  int32_t status = 0;
  if (!d->kernels[kernel]) d->kernels[kernel] = cl.clCreateKernel(d->program->built->program, e->name, &status);
  cl_kernel k = d->kernels[kernel];
  if (!k) return trouble(d, "clCreateKernel of ", e->name, status);
  uint32_t a = 0;
  for (uint32_t i = 0; i < e->buffers && !status; i++) status = cl.clSetKernelArgSVMPointer(k, a++, buffers[i]);
  for (uint32_t i = 0; i < e->scalars && !status; i++) status = cl.clSetKernelArg(k, a++, sizeof *scalars, &scalars[i]);
  if (!status) status = cl.clSetKernelArg(k, a++, sizeof items, &items);
  if (!status) status = cl.clSetKernelArgSVMPointer(k, a, d->status);
  if (status) return trouble(d, "an argument of ", e->name, status);
  for (size_t i = 0; cl.coarse && !d->away && i < d->allocation_count && !status; i++)
    status = cl.clEnqueueSVMUnmap(d->queue, d->allocations[i].data, 0, NULL, NULL);
  d->away = cl.coarse;
  if (status) return trouble(d, "clEnqueueSVMUnmap", "", status);
  size_t local = kWorkGroup, global = ((size_t)items + local - 1) / local * local;
  status = cl.clEnqueueNDRangeKernel(d->queue, k, 1, NULL, &global, &local, 0, NULL, NULL);
  if (status) return trouble(d, "launching ", e->name, status);
  if (++d->pending % kLaunchesPerFlush == 0) cl.clFlush(d->queue);
  return 0;
}

int32_t ingot_device_wait(struct ingot_device* d, struct ingot_device_failure* failure) {
  int32_t status = settle(d);
  if (status) return status;
  int32_t code = d->status[0];
  if (!code) return 0;
  failure->node = d->status[1];
  failure->count = d->status[2];
  memcpy(failure->args, (const char*)d->status + 16, sizeof failure->args);
  memset(d->status, 0, kStatusBytes);
  return code;
}

const char* ingot_device_error(const struct ingot_device* d) { return d->error; }
