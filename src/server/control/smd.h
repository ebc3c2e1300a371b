/* What lies in the NVMe tier of an engine: its device, and the pools' shards on it. */
#ifndef SERVER_CONTROL_SMD_H
#define SERVER_CONTROL_SMD_H

#include <jansson.h>
#include <stdint.h>

/* One object for each pool with files in dir: uuid, rank, tgt_ids and blobs (inode numbers, in the
 * same order). Appended to pools; a directory that cannot be read has none. */
void smd_pools(const char *dir, int64_t rank, json_t *pools);
/* The directory as a device. */
json_t *smd_device(const char *dir, const char *uuid, int64_t rank, uint32_t target_nr);

#endif
