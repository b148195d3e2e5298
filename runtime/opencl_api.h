/* The part of OpenCL 2.0 that opencl.c calls. Written down here, so that neither headers nor a library are needed to
 * build the runtime. */
#ifndef INGOT_OPENCL_API_H
#define INGOT_OPENCL_API_H

#include <stddef.h>
#include <stdint.h>

typedef struct _cl_platform_id* cl_platform_id;
typedef struct _cl_device_id* cl_device_id;
typedef struct _cl_context* cl_context;
typedef struct _cl_command_queue* cl_command_queue;
typedef struct _cl_program* cl_program;
typedef struct _cl_kernel* cl_kernel;
typedef struct _cl_event* cl_event;

enum {
  CL_SUCCESS = 0,
  CL_DEVICE_NAME = 0x102B,
  CL_DEVICE_SINGLE_FP_CONFIG = 0x101B,
  CL_DEVICE_SVM_CAPABILITIES = 0x1053,
  CL_PROGRAM_BUILD_LOG = 0x1183,
  CL_MAP_READ = 1,
  CL_MAP_WRITE = 2,
  CL_SVM_COARSE = 1, /* CL_DEVICE_SVM_COARSE_GRAIN_BUFFER */
  CL_SVM_FINE = 2,
  CL_MEM_READ_WRITE = 1,
  CL_MEM_SVM_FINE_GRAIN_BUFFER = 1 << 10,
  CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT = 1 << 7
};
#define CL_DEVICE_TYPE_ALL 0xFFFFFFFFu

/* X(result, name, parameters) */
#define INGOT_OPENCL_FUNCTIONS(X)                                                                                   \
  X(int32_t, clGetPlatformIDs, (uint32_t, cl_platform_id*, uint32_t*))                                              \
  X(int32_t, clGetDeviceIDs, (cl_platform_id, uint64_t, uint32_t, cl_device_id*, uint32_t*))                        \
  X(int32_t, clGetDeviceInfo, (cl_device_id, uint32_t, size_t, void*, size_t*))                                     \
  X(cl_context, clCreateContext,                                                                                    \
    (const intptr_t*, uint32_t, const cl_device_id*, void (*)(const char*, const void*, size_t, void*), void*,      \
     int32_t*))                                                                                                     \
  X(cl_command_queue, clCreateCommandQueueWithProperties, (cl_context, cl_device_id, const uint64_t*, int32_t*))    \
  X(int32_t, clReleaseCommandQueue, (cl_command_queue))                                                             \
  X(cl_program, clCreateProgramWithSource, (cl_context, uint32_t, const char**, const size_t*, int32_t*))           \
  X(int32_t, clBuildProgram,                                                                                        \
    (cl_program, uint32_t, const cl_device_id*, const char*, void (*)(cl_program, void*), void*))                   \
  X(int32_t, clGetProgramBuildInfo, (cl_program, cl_device_id, uint32_t, size_t, void*, size_t*))                   \
  X(int32_t, clReleaseProgram, (cl_program))                                                                        \
  X(cl_kernel, clCreateKernel, (cl_program, const char*, int32_t*))                                                 \
  X(int32_t, clReleaseKernel, (cl_kernel))                                                                          \
  X(int32_t, clSetKernelArg, (cl_kernel, uint32_t, size_t, const void*))                                            \
  X(int32_t, clSetKernelArgSVMPointer, (cl_kernel, uint32_t, const void*))                                          \
  X(int32_t, clEnqueueNDRangeKernel,                                                                                \
    (cl_command_queue, cl_kernel, uint32_t, const size_t*, const size_t*, const size_t*, uint32_t, const cl_event*, \
     cl_event*))                                                                                                    \
  X(int32_t, clFlush, (cl_command_queue))                                                                           \
  X(int32_t, clFinish, (cl_command_queue))                                                                          \
  X(void*, clSVMAlloc, (cl_context, uint64_t, size_t, uint32_t))                                                    \
  X(void, clSVMFree, (cl_context, void*))                                                                           \
  X(int32_t, clEnqueueSVMMap,                                                                                       \
    (cl_command_queue, uint32_t, uint64_t, void*, size_t, uint32_t, const cl_event*, cl_event*))                    \
  X(int32_t, clEnqueueSVMUnmap, (cl_command_queue, void*, uint32_t, const cl_event*, cl_event*))

#endif
