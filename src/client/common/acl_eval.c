/*
 * Evaluation of access control lists, see acl_eval.h.
 */
#include <string.h>

#include "client/common/acl_eval.h"

/* Own walk over a validated list: this file depends on no library. */
static const struct daos_ace *
ace_next(const struct daos_acl *acl, const struct daos_ace *ace)
{
	const uint8_t *end = acl->dal_ace + acl->dal_len;
	const uint8_t *next = acl->dal_ace;

	if (ace != NULL)
		next = (const uint8_t *)ace + sizeof(*ace) + ace->dae_principal_len;
	return next < end ? (const struct daos_ace *)next : NULL;
}

static bool
name_eq(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static bool
in_group(const struct acl_who *who, const char *group)
{
	size_t i;

	for (i = 0; i < who->group_nr; i++)
		if (name_eq(who->groups[i], group))
			return true;
	return false;
}

/* Does an entry speak of this person? */
static bool
ace_matches(const struct daos_ace *ace, const char *owner, const char *owner_group,
	    const struct acl_who *who)
{
	switch (ace->dae_principal_type) {
	case DAOS_ACL_OWNER:
		return name_eq(owner, who->user);
	case DAOS_ACL_USER:
		return name_eq(ace->dae_principal, who->user);
	case DAOS_ACL_OWNER_GROUP:
		return owner_group != NULL && in_group(who, owner_group);
	case DAOS_ACL_GROUP:
		return in_group(who, ace->dae_principal);
	case DAOS_ACL_EVERYONE:
		return true;
	default:
		return false;
	}
}

uint64_t
acl_perms(const struct daos_acl *acl, const char *owner, const char *owner_group,
	  const struct acl_who *who)
{
	const struct daos_ace *ace = NULL;
	uint64_t group_perms = 0;
	bool in_some_group = false;

	if (acl == NULL)
		return 0;
	/* Entries are sorted in the order of the rules. */
	while ((ace = ace_next(acl, ace)) != NULL) {
		uint64_t perms =
		    ace->dae_access_types & DAOS_ACL_ACCESS_ALLOW ? ace->dae_allow_perms : 0;

		if (ace->dae_principal_type == DAOS_ACL_EVERYONE && in_some_group)
			break;
		if (!ace_matches(ace, owner, owner_group, who))
			continue;
		if (ace->dae_principal_type != DAOS_ACL_OWNER_GROUP &&
		    ace->dae_principal_type != DAOS_ACL_GROUP)
			return perms;
		in_some_group = true;
		group_perms |= perms;
	}
	return group_perms;
}

uint64_t
acl_pool_perms(const struct daos_acl *acl, const char *owner, const char *owner_group,
	       const struct acl_who *who)
{
	uint64_t perms = acl_perms(acl, owner, owner_group, who);

	if (perms & DAOS_ACL_PERM_READ)
		perms |= DAOS_ACL_PERM_GET_PROP;
	if (perms & DAOS_ACL_PERM_WRITE)
		perms |= DAOS_ACL_PERM_CREATE_CONT | DAOS_ACL_PERM_DEL_CONT;
	return perms & DAOS_ACL_PERM_POOL_ALL;
}

uint64_t
acl_cont_perms(const struct daos_acl *acl, const char *owner, const char *owner_group,
	       const struct acl_who *who)
{
	uint64_t perms = acl_perms(acl, owner, owner_group, who);

	if (name_eq(owner, who->user))
		perms |= DAOS_ACL_PERM_GET_ACL | DAOS_ACL_PERM_SET_ACL;
	return perms & DAOS_ACL_PERM_CONT_ALL;
}
