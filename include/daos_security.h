/*
 * Access control lists of pools and containers.
 *
 * An ACL is one block of memory: a header and, behind it, entries (ACE) of varying size, each
 * padded to 8 bytes, in the order owner, users, owner group, groups, everyone, one per principal.
 * As text an entry is TYPES:FLAGS:PRINCIPAL:PERMISSIONS, for example "A:G:staff@:rw".
 */
#ifndef DAOS_SECURITY_H
#define DAOS_SECURITY_H

#include <stdio.h>
#include <stdint.h>
#include <stdbool.h>
#include <sys/types.h>
#include <daos_prop.h>

#if defined(__cplusplus)
extern "C" {
#endif

#pragma GCC visibility push(default)

#define DAOS_ACL_VERSION (1)

/** Longest principal without the NUL, and the buffer for it. */
#define DAOS_ACL_MAX_PRINCIPAL_LEN     (255)
#define DAOS_ACL_MAX_PRINCIPAL_BUF_LEN (DAOS_ACL_MAX_PRINCIPAL_LEN + 1)

/** Special principals. */
#define DAOS_ACL_PRINCIPAL_OWNER     "OWNER@"
#define DAOS_ACL_PRINCIPAL_OWNER_GRP "GROUP@"
#define DAOS_ACL_PRINCIPAL_EVERYONE  "EVERYONE@"

/** Largest list of entries in bytes; longest entry as text, without the NUL. */
#define DAOS_ACL_MAX_ACE_LEN     (65536)
#define DAOS_ACL_MAX_ACE_STR_LEN (DAOS_ACL_MAX_PRINCIPAL_LEN + 64)

struct daos_acl {
	uint16_t dal_ver; /* DAOS_ACL_VERSION */
	uint16_t dal_reserv;
	uint32_t dal_len;  /* bytes in dal_ace */
	uint8_t dal_ace[]; /* struct daos_ace, one behind the other */
};

/** Kinds of principal, in the order in which entries are stored. */
enum daos_acl_principal_type {
	DAOS_ACL_OWNER,
	DAOS_ACL_USER,
	DAOS_ACL_OWNER_GROUP,
	DAOS_ACL_GROUP,
	DAOS_ACL_EVERYONE,
	NUM_DAOS_ACL_TYPES
};

/** What an entry does with its permissions: grant, log, raise an alarm. */
enum daos_acl_access_type {
	DAOS_ACL_ACCESS_ALLOW = (1U << 0),
	DAOS_ACL_ACCESS_AUDIT = (1U << 1),
	DAOS_ACL_ACCESS_ALARM = (1U << 2)
};

#define DAOS_ACL_ACCESS_ALL (DAOS_ACL_ACCESS_ALLOW | DAOS_ACL_ACCESS_AUDIT | DAOS_ACL_ACCESS_ALARM)

enum daos_acl_flags {
	DAOS_ACL_FLAG_GROUP = (1U << 0),         /* the principal is a group */
	DAOS_ACL_FLAG_POOL_INHERIT = (1U << 1),  /* passed on to containers of the pool */
	DAOS_ACL_FLAG_ACCESS_FAIL = (1U << 2),   /* audit or alarm when refused */
	DAOS_ACL_FLAG_ACCESS_SUCCESS = (1U << 3) /* audit or alarm when granted */
};

#define DAOS_ACL_FLAG_ALL                                                                          \
	(DAOS_ACL_FLAG_GROUP | DAOS_ACL_FLAG_POOL_INHERIT | DAOS_ACL_FLAG_ACCESS_FAIL |            \
	 DAOS_ACL_FLAG_ACCESS_SUCCESS)

enum daos_acl_perm {
	DAOS_ACL_PERM_READ = (1U << 0),
	DAOS_ACL_PERM_WRITE = (1U << 1),
	DAOS_ACL_PERM_CREATE_CONT = (1U << 2),
	DAOS_ACL_PERM_DEL_CONT = (1U << 3),
	DAOS_ACL_PERM_GET_PROP = (1U << 4),
	DAOS_ACL_PERM_SET_PROP = (1U << 5),
	DAOS_ACL_PERM_GET_ACL = (1U << 6),
	DAOS_ACL_PERM_SET_ACL = (1U << 7),
	DAOS_ACL_PERM_SET_OWNER = (1U << 8),
};

/** Permissions that mean something for a pool, for a container, and at all. */
#define DAOS_ACL_PERM_POOL_ALL                                                                     \
	(DAOS_ACL_PERM_READ | DAOS_ACL_PERM_GET_PROP | DAOS_ACL_PERM_WRITE |                       \
	 DAOS_ACL_PERM_CREATE_CONT | DAOS_ACL_PERM_DEL_CONT)

#define DAOS_ACL_PERM_CONT_ALL                                                                     \
	(DAOS_ACL_PERM_READ | DAOS_ACL_PERM_WRITE | DAOS_ACL_PERM_DEL_CONT |                       \
	 DAOS_ACL_PERM_GET_PROP | DAOS_ACL_PERM_SET_PROP | DAOS_ACL_PERM_GET_ACL |                 \
	 DAOS_ACL_PERM_SET_ACL | DAOS_ACL_PERM_SET_OWNER)

#define DAOS_ACL_PERM_ALL (DAOS_ACL_PERM_POOL_ALL | DAOS_ACL_PERM_CONT_ALL)

/** One entry. Permissions of an access type count only if the type's bit is set. */
struct daos_ace {
	uint8_t dae_access_types;   /* enum daos_acl_access_type, or-ed */
	uint8_t dae_principal_type; /* enum daos_acl_principal_type */
	uint16_t dae_principal_len; /* bytes of dae_principal with the NUL; 0: special principal */
	uint16_t dae_access_flags;  /* enum daos_acl_flags, or-ed */
	uint16_t dae_reserv;
	uint64_t dae_allow_perms;
	uint64_t dae_audit_perms;
	uint64_t dae_alarm_perms;
	char dae_principal[]; /* "name@", padded to 8 bytes; only of users and groups */
};

/** A new ACL of these entries (copied, put in order); NULL for bad entries or no memory. */
struct daos_acl *daos_acl_create(struct daos_ace *aces[], uint16_t num_aces);
struct daos_acl *daos_acl_dup(struct daos_acl *acl);
void daos_acl_free(struct daos_acl *acl);

/** Bytes of the whole block; -DER_INVAL for NULL. */
ssize_t daos_acl_get_size(struct daos_acl *acl);

/** First entry (current_ace NULL) or the next; NULL at the end. */
struct daos_ace *daos_acl_get_next_ace(struct daos_acl *acl, struct daos_ace *current_ace);

/** Find a principal's entry (inside acl); the name matters for users and groups. -DER_NONEXIST. */
int daos_acl_get_ace_for_principal(struct daos_acl *acl, enum daos_acl_principal_type type,
				   const char *principal, struct daos_ace **ace);

/** Add a copy of an entry or replace the principal's; *acl may move. */
int daos_acl_add_ace(struct daos_acl **acl, struct daos_ace *new_ace);

/** Remove a principal's entry; *acl may move. -DER_NONEXIST. */
int daos_acl_remove_ace(struct daos_acl **acl, enum daos_acl_principal_type type,
			const char *principal_name);

/** Print to standard output. */
void daos_acl_dump(struct daos_acl *acl);

/** Version, lengths, order, uniqueness and each entry. 0 or -DER_INVAL. */
int daos_acl_validate(struct daos_acl *acl);

/** An entry without permissions; the name is for users and groups. NULL for a bad name. */
struct daos_ace *daos_ace_create(enum daos_acl_principal_type type, const char *principal_name);
void daos_ace_free(struct daos_ace *ace);
ssize_t daos_ace_get_size(struct daos_ace *ace);
void daos_ace_dump(struct daos_ace *ace, uint32_t tabs);
bool daos_ace_is_valid(struct daos_ace *ace);

/** "name@" or "name@domain", at most 255 characters. */
bool daos_acl_principal_is_valid(const char *name);

/** From and to the system's users and groups. The caller frees *name. -DER_NONEXIST, -DER_INVAL. */
int daos_acl_uid_to_principal(uid_t uid, char **name);
int daos_acl_gid_to_principal(gid_t gid, char **name);
int daos_acl_principal_to_uid(const char *principal, uid_t *uid);
int daos_acl_principal_to_gid(const char *principal, gid_t *gid);

/** Principal as text, special names included; belongs to ace. NULL for a bad entry. */
const char *daos_ace_get_principal_str(struct daos_ace *ace);

/** Parse and print one entry. -DER_INVAL; -DER_TRUNC when buf is too small. */
int daos_ace_from_str(const char *str, struct daos_ace **ace);
int daos_ace_to_str(struct daos_ace *ace, char *buf, size_t buf_len);

/** An entry's text explained in words. */
int daos_ace_str_get_verbose(const char *ace_str, char *buf, size_t buf_len);

int daos_acl_from_strs(const char **ace_strs, size_t ace_nr, struct daos_acl **acl);

/** The caller frees each string and the array. */
int daos_acl_to_strs(struct daos_acl *acl, char ***ace_strs, size_t *ace_nr);

/** Principal from "u:name", "g:name" or a special name; the caller frees *name (NULL: special). */
int daos_acl_principal_from_str(const char *principal_str, enum daos_acl_principal_type *type,
				char **name);

/** Print one entry a line; verbose adds each entry's explanation as a comment. */
int daos_acl_to_stream(FILE *stream, struct daos_acl *acl, bool verbose);

#pragma GCC visibility pop

#if defined(__cplusplus)
}
#endif

#endif /* DAOS_SECURITY_H */
