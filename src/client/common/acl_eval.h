/*
 * What an access control list allows somebody to do. Pure: names in, permissions out.
 */
#ifndef CLIENT_COMMON_ACL_EVAL_H
#define CLIENT_COMMON_ACL_EVAL_H

#include <daos_security.h>

/* Names are principals ("name@"); the strings stay the caller's. */
struct acl_who {
	const char *user;
	const char *const *groups;
	size_t group_nr;
};

/*
 * DAOS_ACL_PERM_* of somebody, for a thing with this owner and owner group (either may be NULL).
 * acl must have passed daos_acl_validate(); NULL gives nothing.
 *
 * The first rule that applies decides alone: the owner's entry if he is the owner and there is one;
 * his user entry; the union of the owner group's and the groups' entries that match; everyone's
 * entry; nothing.
 */
uint64_t acl_perms(const struct daos_acl *acl, const char *owner, const char *owner_group,
		   const struct acl_who *who);

/*
 * Permissions for a pool: acl_perms() with the letters' aliases spread out (read implies seeing
 * properties, write implies creating and deleting containers), and nothing else.
 */
uint64_t acl_pool_perms(const struct daos_acl *acl, const char *owner, const char *owner_group,
			const struct acl_who *who);

/* Permissions for a container: its owner can always see and set the list. */
uint64_t acl_cont_perms(const struct daos_acl *acl, const char *owner, const char *owner_group,
			const struct acl_who *who);

#endif
