/*
 * Properties of pools and containers as the service keeps them: which exist, of what kind, within
 * which limits, with what default; lists of them as packed messages, ordered by number.
 */
#ifndef MGMT_PROP_H
#define MGMT_PROP_H

#include <stdbool.h>
#include <stdint.h>

#include "server/mgmt/state.h"

enum prop_when {
	PROP_AT_CREATE, /* given by the creator */
	PROP_AT_SET,    /* changed later */
};

/* Known, right kind, allowed now, within limits: 0, or -DER_INVAL. */
int prop_check(const Mgmt__Prop *prop, bool is_cont, enum prop_when when);
int prop_check_all(Mgmt__Prop *const *props, size_t nr, bool is_cont, enum prop_when when);

/*
 * The full list of a new pool or container: defaults, then what is given. For a container, from
 * (the pool's list) gives the inherited ones. Packed Mgmt.PropGetRep.
 */
int prop_complete(Mgmt__Prop *const *given, size_t nr, bool is_cont, const struct blob *from,
		  struct blob *ret_list);
/* Replace or add entries of a list. */
int prop_merge(struct blob *list, Mgmt__Prop *const *props, size_t nr);

/* The caller frees it: mgmt__prop_get_rep__free_unpacked(). NULL: no memory. */
Mgmt__PropGetRep *prop_unpack(const struct blob *list);
const Mgmt__Prop *prop_find(Mgmt__Prop *const *props, size_t nr, uint32_t type);
uint64_t prop_num(const struct blob *list, uint32_t type, uint64_t otherwise);
int prop_set_num(struct blob *list, uint32_t type, uint64_t v);
int prop_set_str(struct blob *list, uint32_t type, const char *v);

/* --- access control (semantics as in daos_security.h) ---------------------------------------- */

struct access_who {
	const char *user;  /* "name@" */
	const char *group; /* primary */
	char *const *groups;
	uint32_t group_nr;
};
/* Bounds, order of principals and names of an ACL as it lies in memory. 0 or -DER_INVAL. */
int access_acl_check(const void *acl, size_t len);
/* DAOS_ACL_PERM_* that a list of properties (owner, group, ACL) grants. */
uint64_t access_perms(const struct blob *props, bool is_cont, const struct access_who *who);

#endif
