/* BLAKE2b with a 32-byte result (RFC 7693), for the hashes of model.ingot. Small and portable: 1 GB/s on one core is
 * enough for descriptors and code, which are always checked; weights are checked when asked. */
#ifndef INGOT_HASH_H
#define INGOT_HASH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INGOT_HASH_BYTES 32

typedef struct ingot_hash {
  uint64_t state[8];
  uint64_t total_bytes;
  uint8_t block[128];
  size_t filled;
} ingot_hash;

void ingot_hash_begin(ingot_hash* hash);
void ingot_hash_add(ingot_hash* hash, const void* data, size_t size_bytes);
void ingot_hash_end(ingot_hash* hash, uint8_t out[INGOT_HASH_BYTES]);
void ingot_hash_of(const void* data, size_t size_bytes, uint8_t out[INGOT_HASH_BYTES]);

#ifdef __cplusplus
}
#endif
#endif
