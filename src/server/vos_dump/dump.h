/* What the files of vos_dump share. */
#ifndef SERVER_VOS_DUMP_H
#define SERVER_VOS_DUMP_H

#include "client/cmdline/cli.h"
#include "runtime/xs.h"
#include "server/engine/superblock.h"
#include "store/vos/vos_inspect.h"

enum { TARGET_NAME_MAX = 64, CONT_TEXT = 37 };

/* One run of the tool: a storage directory, and what is on it. */
struct dump {
	struct cli *cli;
	struct xs *xs;
	const char *path;
	char *nvme_path; /* NULL: no second directory */
	struct dev_dir *scm, *nvme;
	struct dev_dir *tiers; /* both, or NULL */
	struct dev_dir *dir;   /* overlay of all that */
	struct superblock *sb; /* NULL: none there, or unreadable: sb_rc */
	int sb_rc;
	struct target_name {
		char name[TARGET_NAME_MAX]; /* of its devices */
		uuid_t pool;
		uint32_t idx;
		bool named; /* the superblock knows the pool */
	} * targets;
	uint32_t target_nr;
};

/* --- dump.c --- */
/* Open the directory that is the first argument and run fn in a coroutine. */
int dump_run(struct cli *cli, int co_fn (*fn)(struct dump *d));
/* The target that the second argument names, by a part of its name that is unique; the only one
 * when there is no such argument. */
int dump_target(struct dump *d, const struct target_name **ret_target);
/* The pool of a target, read-only. Reports failures. */
int co_fn dump_pool_open(struct dump *d, const struct target_name *target,
			 struct vos_pool **ret_pool);

/* --- text.c: how things are written, and read from the command line --- */
json_t *json_big(uint64_t v);   /* a number, a string where JSON readers would lose digits */
json_t *json_epoch(uint64_t v); /* null for "no bound" */
enum { EPOCH_TEXT = 48, OID_TEXT = 64 };
/* "1234 (2026-01-02 03:04:05.678)", "none" for UINT64_MAX. */
const char *epoch_text(uint64_t epoch, char buf[EPOCH_TEXT]);
const char *oid_text(const struct vos_oid *oid, char buf[OID_TEXT]); /* HI.LO.SHARD */
/* HI.LO or HI.LO.SHARD. */
bool oid_parse(const char *text, struct vos_oid *ret_oid, bool *ret_any_shard);
/* "text" when it is printable, 0xHEX when not, a number when the object's keys are. malloc'ed. */
char *key_text(const void *key, uint32_t len, bool is_uint);
/* The reverse. ret: malloc'ed. */
bool key_parse(const char *text, bool is_uint, daos_key_t *ret);
char *hex_text(const void *buf, size_t len); /* malloc'ed */
void hex_dump(FILE *out, const char *indent, uint64_t at, const uint8_t *buf, size_t len);

/* --- the commands --- */
int co_fn dump_list(struct dump *d);   /* list.c */
int co_fn dump_show(struct dump *d);   /* list.c */
int co_fn dump_verify(struct dump *d); /* verify.c */
int co_fn dump_space(struct dump *d);  /* space.c */
int co_fn dump_wal(struct dump *d);    /* wal.c */

#endif
