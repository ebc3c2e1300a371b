/*
 * Who may do what: evaluation of the ACL kept among the properties, on its bytes (layout of
 * daos_security.h, checked before it is looked at).
 */
#include <string.h>

#include <daos_errno.h>
#include <daos_security.h>

#include "server/mgmt/prop.h"

/* The entry at off; false when it is malformed. *ret_size is what it occupies. */
static bool
ace_at(const uint8_t *acl, size_t len, size_t off, struct daos_ace *ret_ace, const char **ret_name,
       size_t *ret_size)
{
	size_t size;

	if (len - off < sizeof(*ret_ace))
		return false;
	memcpy(ret_ace, acl + off, sizeof(*ret_ace));
	size = sizeof(*ret_ace) + ((ret_ace->dae_principal_len + 7u) & ~7u);
	if (size > len - off || ret_ace->dae_principal_type >= NUM_DAOS_ACL_TYPES)
		return false;
	*ret_name = (const char *)acl + off + sizeof(*ret_ace);
	if (ret_ace->dae_principal_type == DAOS_ACL_USER ||
	    ret_ace->dae_principal_type == DAOS_ACL_GROUP) {
		if (ret_ace->dae_principal_len < 2 ||
		    ret_ace->dae_principal_len > DAOS_ACL_MAX_PRINCIPAL_BUF_LEN ||
		    memchr(*ret_name, 0, ret_ace->dae_principal_len) == NULL)
			return false;
	}
	*ret_size = size;
	return true;
}

static bool
header_ok(const uint8_t *acl, size_t len, size_t *ret_end)
{
	struct daos_acl h;

	if (len < sizeof(h))
		return false;
	memcpy(&h, acl, sizeof(h));
	if (h.dal_ver != DAOS_ACL_VERSION || h.dal_len > DAOS_ACL_MAX_ACE_LEN ||
	    h.dal_len != len - sizeof(h))
		return false;
	*ret_end = len;
	return true;
}

int
access_acl_check(const void *acl, size_t len)
{
	size_t off = sizeof(struct daos_acl);
	int last_type = -1;
	size_t end;

	if (acl == NULL || !header_ok(acl, len, &end))
		return -DER_INVAL;
	while (off < end) {
		struct daos_ace ace;
		const char *name;
		size_t size;

		if (!ace_at(acl, end, off, &ace, &name, &size))
			return -DER_INVAL;
		if (ace.dae_principal_type < last_type)
			return -DER_INVAL;
		if (ace.dae_principal_type == last_type &&
		    ace.dae_principal_type != DAOS_ACL_USER &&
		    ace.dae_principal_type != DAOS_ACL_GROUP)
			return -DER_INVAL;
		last_type = ace.dae_principal_type;
		off += size;
	}
	return 0;
}

/* "name@" and "name@domain" are the same person: the domain means nothing. */
static bool
same(const char *a, const char *b)
{
	size_t n = strcspn(a, "@");

	return n == strcspn(b, "@") && strncmp(a, b, n) == 0 && n > 0;
}

static bool
in_group(const struct access_who *who, const char *group)
{
	uint32_t i;

	if (who->group != NULL && same(who->group, group))
		return true;
	for (i = 0; i < who->group_nr; i++)
		if (same(who->groups[i], group))
			return true;
	return false;
}

struct found {
	bool owner, user, group, everyone;
	uint64_t owner_perms, user_perms, group_perms, everyone_perms;
};

static void
look(const uint8_t *acl, size_t len, const char *owner_group, const struct access_who *who,
     struct found *f)
{
	size_t off = sizeof(struct daos_acl);

	while (off < len) {
		struct daos_ace ace;
		const char *name;
		size_t size;
		uint64_t perms;

		if (!ace_at(acl, len, off, &ace, &name, &size))
			return;
		off += size;
		perms =
		    (ace.dae_access_types & DAOS_ACL_ACCESS_ALLOW) != 0 ? ace.dae_allow_perms : 0;
		switch (ace.dae_principal_type) {
		case DAOS_ACL_OWNER:
			f->owner = true;
			f->owner_perms = perms;
			break;
		case DAOS_ACL_USER:
			if (who->user != NULL && same(who->user, name)) {
				f->user = true;
				f->user_perms = perms;
			}
			break;
		case DAOS_ACL_OWNER_GROUP:
			if (owner_group != NULL && in_group(who, owner_group)) {
				f->group = true;
				f->group_perms |= perms;
			}
			break;
		case DAOS_ACL_GROUP:
			if (in_group(who, name)) {
				f->group = true;
				f->group_perms |= perms;
			}
			break;
		case DAOS_ACL_EVERYONE:
			f->everyone = true;
			f->everyone_perms = perms;
			break;
		}
	}
}

/* Pools know r = t and w = c + d. */
static uint64_t
pool_aliases(uint64_t p)
{
	if ((p & (DAOS_ACL_PERM_READ | DAOS_ACL_PERM_GET_PROP)) != 0)
		p |= DAOS_ACL_PERM_READ | DAOS_ACL_PERM_GET_PROP;
	if ((p & DAOS_ACL_PERM_WRITE) != 0)
		p |= DAOS_ACL_PERM_CREATE_CONT | DAOS_ACL_PERM_DEL_CONT;
	return p;
}

uint64_t
access_perms(const struct blob *props, bool is_cont, const struct access_who *who)
{
	Mgmt__PropGetRep *rep = prop_unpack(props);
	const Mgmt__Prop *acl;
	const Mgmt__Prop *owner;
	const Mgmt__Prop *group;
	struct found f = {0};
	uint64_t perms = 0;
	bool owns;

	if (rep == NULL)
		return 0;
	acl = prop_find(rep->props, rep->n_props, is_cont ? DAOS_PROP_CO_ACL : DAOS_PROP_PO_ACL);
	owner =
	    prop_find(rep->props, rep->n_props, is_cont ? DAOS_PROP_CO_OWNER : DAOS_PROP_PO_OWNER);
	group = prop_find(rep->props, rep->n_props,
			  is_cont ? DAOS_PROP_CO_OWNER_GROUP : DAOS_PROP_PO_OWNER_GROUP);
	owns = owner != NULL && who->user != NULL && same(who->user, owner->str);
	if (acl != NULL && access_acl_check(acl->blob.data, acl->blob.len) == 0)
		look(acl->blob.data, acl->blob.len, group != NULL ? group->str : NULL, who, &f);
	if (owns && f.owner)
		perms = f.owner_perms;
	else if (f.user)
		perms = f.user_perms;
	else if (f.group)
		perms = f.group_perms;
	else if (f.everyone)
		perms = f.everyone_perms;
	if (is_cont && owns)
		perms |= DAOS_ACL_PERM_GET_ACL | DAOS_ACL_PERM_SET_ACL;
	mgmt__prop_get_rep__free_unpacked(rep, NULL);
	return is_cont ? perms : pool_aliases(perms);
}
