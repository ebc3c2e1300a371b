/*
 * The NVMe tier of an engine is a directory with a file POOL.TARGET.data for each shard. It is
 * shown as one device, whose state says whether the directory is there; what pools have on it is
 * read from the names, so it is true also while the engine is down.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <uuid/uuid.h>

#include "server/control/smd.h"

enum { UUID_TEXT = 36 };

/* "POOL.TARGET.data". */
static bool
shard_name(const char *name, char pool[UUID_TEXT + 1], uint32_t *ret_target)
{
	uuid_t uuid;
	char *end;

	if (strlen(name) < UUID_TEXT + 2 || name[UUID_TEXT] != '.' || name[UUID_TEXT + 1] < '0' ||
	    name[UUID_TEXT + 1] > '9')
		return false;
	memcpy(pool, name, UUID_TEXT);
	pool[UUID_TEXT] = '\0';
	*ret_target = (uint32_t)strtoul(name + UUID_TEXT + 1, &end, 10);
	return uuid_parse(pool, uuid) == 0 && strcmp(end, ".data") == 0;
}

static json_t *
pool_get(json_t *pools, const char *uuid, int64_t rank)
{
	json_t *o;
	size_t i;

	json_array_foreach(pools, i, o)
	{
		if (strcmp(json_string_value(json_object_get(o, "uuid")), uuid) == 0 &&
		    json_integer_value(json_object_get(o, "rank")) == rank)
			return o;
	}
	o = json_pack("{s:s,s:[],s:[],s:I}", "uuid", uuid, "tgt_ids", "blobs", "rank",
		      (json_int_t)rank);
	json_array_append_new(pools, o);
	return o;
}

void
smd_pools(const char *dir, int64_t rank, json_t *pools)
{
	struct dirent **names;
	int i, nr;

	nr = scandir(dir, &names, NULL, versionsort);
	for (i = 0; i < nr; i++) {
		char uuid[UUID_TEXT + 1];
		uint32_t target;

		if (shard_name(names[i]->d_name, uuid, &target)) {
			json_t *o = pool_get(pools, uuid, rank);

			json_array_append_new(json_object_get(o, "tgt_ids"), json_integer(target));
			json_array_append_new(json_object_get(o, "blobs"),
					      json_integer((json_int_t)names[i]->d_ino));
		}
		free(names[i]);
	}
	if (nr >= 0)
		free(names);
}

json_t *
smd_device(const char *dir, const char *uuid, int64_t rank, uint32_t target_nr)
{
	json_t *targets = json_array();
	uint64_t total = 0, avail = 0;
	struct statvfs vfs;
	const char *state = "UNPLUGGED";
	uint32_t i;

	if (statvfs(dir, &vfs) == 0) {
		state = "NORMAL";
		total = (uint64_t)vfs.f_blocks * vfs.f_frsize;
		avail = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	}
	for (i = 0; i < target_nr; i++)
		json_array_append_new(targets, json_integer(i));
	return json_pack("{s:s,s:o,s:I,s:I,s:I,s:s,s:b,s:I,s:{s:s,s:s,s:s}}", "uuid", uuid,
			 "tgt_ids", targets, "rank", (json_int_t)rank, "total_bytes",
			 (json_int_t)total, "avail_bytes", (json_int_t)avail, "roles", "data",
			 "has_sys_xs", 0, "ctrlr_namespace_id", (json_int_t)0, "ctrlr", "pci_addr",
			 dir, "dev_state", state, "led_state", "NA");
}
