/*
 * Access control lists as blocks of memory.
 *
 * Entries follow each other behind the header, each as long as its name needs, padded to 8 bytes,
 * and sorted by principal type. A block may come from another machine: daos_acl_validate() trusts
 * no length in it, and nothing else here may be given a block that has not passed it or been made
 * here. All changes build a new block.
 */
#include <gurt/common.h>
#include <daos_security.h>

/* Dword alignment of entries and of names within them. */
#define ACE_ALIGN 8

static bool
type_is_valid(unsigned int type)
{
	return type < NUM_DAOS_ACL_TYPES;
}

static bool
type_is_named(unsigned int type)
{
	return type == DAOS_ACL_USER || type == DAOS_ACL_GROUP;
}

static bool
type_is_group(unsigned int type)
{
	return type == DAOS_ACL_GROUP || type == DAOS_ACL_OWNER_GROUP;
}

/* ---- Entries ---- */

struct daos_ace *
daos_ace_create(enum daos_acl_principal_type type, const char *principal_name)
{
	struct daos_ace *ace;
	size_t name_len = 0;

	if (!type_is_valid(type))
		return NULL;
	if (type_is_named(type)) {
		if (!daos_acl_principal_is_valid(principal_name))
			return NULL;
		name_len = D_ALIGNUP(strlen(principal_name) + 1, ACE_ALIGN);
	}
	ace = d_calloc(1, sizeof(*ace) + name_len);
	if (ace == NULL)
		return NULL;
	ace->dae_principal_type = type;
	ace->dae_principal_len = (uint16_t)name_len;
	if (type_is_group(type))
		ace->dae_access_flags = DAOS_ACL_FLAG_GROUP;
	if (name_len > 0)
		memcpy(ace->dae_principal, principal_name, strlen(principal_name));
	return ace;
}

void
daos_ace_free(struct daos_ace *ace)
{
	d_free(ace);
}

static size_t
ace_size(const struct daos_ace *ace)
{
	return sizeof(*ace) + ace->dae_principal_len;
}

ssize_t
daos_ace_get_size(struct daos_ace *ace)
{
	if (ace == NULL || ace->dae_principal_len % ACE_ALIGN != 0)
		return -DER_INVAL;
	return (ssize_t)ace_size(ace);
}

/* Permissions must be known ones, and none for an access type that is not set. */
static bool
perms_are_valid(const struct daos_ace *ace, unsigned int access, uint64_t perms)
{
	if ((ace->dae_access_types & access) == 0)
		return perms == 0;
	return (perms & ~(uint64_t)DAOS_ACL_PERM_ALL) == 0;
}

/* Success and failure flags say when to audit or alarm: each needs the other. */
static bool
audit_flags_are_valid(const struct daos_ace *ace)
{
	bool audits = ace->dae_access_types & (DAOS_ACL_ACCESS_AUDIT | DAOS_ACL_ACCESS_ALARM);
	bool says_when =
	    ace->dae_access_flags & (DAOS_ACL_FLAG_ACCESS_FAIL | DAOS_ACL_FLAG_ACCESS_SUCCESS);

	return audits == says_when;
}

static bool
name_is_valid(const struct daos_ace *ace)
{
	uint16_t len = ace->dae_principal_len;

	if (!type_is_named(ace->dae_principal_type))
		return len == 0;
	return len > 0 && len % ACE_ALIGN == 0 && memchr(ace->dae_principal, '\0', len) != NULL &&
	       daos_acl_principal_is_valid(ace->dae_principal);
}

bool
daos_ace_is_valid(struct daos_ace *ace)
{
	if (ace == NULL || !type_is_valid(ace->dae_principal_type))
		return false;
	if (ace->dae_access_types == 0 || (ace->dae_access_types & ~DAOS_ACL_ACCESS_ALL) != 0)
		return false;
	if ((ace->dae_access_flags & ~DAOS_ACL_FLAG_ALL) != 0)
		return false;
	if (type_is_group(ace->dae_principal_type) !=
	    ((ace->dae_access_flags & DAOS_ACL_FLAG_GROUP) != 0))
		return false;
	return name_is_valid(ace) && audit_flags_are_valid(ace) &&
	       perms_are_valid(ace, DAOS_ACL_ACCESS_ALLOW, ace->dae_allow_perms) &&
	       perms_are_valid(ace, DAOS_ACL_ACCESS_AUDIT, ace->dae_audit_perms) &&
	       perms_are_valid(ace, DAOS_ACL_ACCESS_ALARM, ace->dae_alarm_perms);
}

const char *
daos_ace_get_principal_str(struct daos_ace *ace)
{
	if (ace == NULL)
		return NULL;
	switch (ace->dae_principal_type) {
	case DAOS_ACL_OWNER:
		return DAOS_ACL_PRINCIPAL_OWNER;
	case DAOS_ACL_OWNER_GROUP:
		return DAOS_ACL_PRINCIPAL_OWNER_GRP;
	case DAOS_ACL_EVERYONE:
		return DAOS_ACL_PRINCIPAL_EVERYONE;
	case DAOS_ACL_USER:
	case DAOS_ACL_GROUP:
		return name_is_valid(ace) ? ace->dae_principal : NULL;
	default:
		return NULL;
	}
}

/* Does the entry belong to this principal? The name counts for users and groups only. */
static bool
ace_is_of(const struct daos_ace *ace, unsigned int type, const char *name)
{
	if (ace->dae_principal_type != type)
		return false;
	return !type_is_named(type) ||
	       (name != NULL && strncmp(ace->dae_principal, name, ace->dae_principal_len) == 0);
}

void
daos_ace_dump(struct daos_ace *ace, uint32_t tabs)
{
	char text[DAOS_ACL_MAX_ACE_STR_LEN + 1];
	const char *name;
	uint32_t i;

	for (i = 0; i < tabs; i++)
		fputc('\t', stdout);
	if (ace == NULL) {
		printf("entry: none\n");
		return;
	}
	name = daos_ace_get_principal_str(ace);
	if (daos_ace_to_str(ace, text, sizeof(text)) == 0)
		printf("entry: %s\n", text);
	else
		printf("entry (%s): principal %s, types %#x, flags %#x, allow %#" PRIx64
		       ", audit %#" PRIx64 ", alarm %#" PRIx64 "\n",
		       daos_ace_is_valid(ace) ? "no text form" : "invalid",
		       name != NULL ? name : "?", ace->dae_access_types, ace->dae_access_flags,
		       ace->dae_allow_perms, ace->dae_audit_perms, ace->dae_alarm_perms);
}

/* ---- Lists ---- */

struct daos_ace *
daos_acl_get_next_ace(struct daos_acl *acl, struct daos_ace *current_ace)
{
	uint8_t *end;
	uint8_t *next;

	if (acl == NULL)
		return NULL;
	end = acl->dal_ace + acl->dal_len;
	if (current_ace == NULL) {
		next = acl->dal_ace;
	} else {
		if ((uint8_t *)current_ace < acl->dal_ace || (uint8_t *)current_ace >= end)
			return NULL;
		next = (uint8_t *)current_ace + ace_size(current_ace);
	}
	/* A whole entry must be left, name included. */
	if (next > end || (size_t)(end - next) < sizeof(struct daos_ace) ||
	    (size_t)(end - next) < ace_size((struct daos_ace *)next))
		return NULL;
	return (struct daos_ace *)next;
}

static struct daos_acl *
acl_alloc(size_t len)
{
	struct daos_acl *acl;

	if (len > DAOS_ACL_MAX_ACE_LEN)
		return NULL;
	acl = d_calloc(1, sizeof(*acl) + len);
	if (acl == NULL)
		return NULL;
	acl->dal_ver = DAOS_ACL_VERSION;
	acl->dal_len = (uint32_t)len;
	return acl;
}

static uint8_t *
ace_put(uint8_t *pos, const struct daos_ace *ace)
{
	memcpy(pos, ace, ace_size(ace));
	return pos + ace_size(ace);
}

struct daos_acl *
daos_acl_create(struct daos_ace *aces[], uint16_t num_aces)
{
	struct daos_acl *acl;
	size_t len = 0;
	uint8_t *pos;
	unsigned int type;
	uint16_t i;

	for (i = 0; i < num_aces; i++) {
		ssize_t size = aces == NULL ? -DER_INVAL : daos_ace_get_size(aces[i]);

		if (size < 0 || !type_is_valid(aces[i]->dae_principal_type))
			return NULL;
		len += (size_t)size;
	}
	acl = acl_alloc(len);
	if (acl == NULL)
		return NULL;
	pos = acl->dal_ace;
	for (type = 0; type < NUM_DAOS_ACL_TYPES; type++)
		for (i = 0; i < num_aces; i++)
			if (aces[i]->dae_principal_type == type)
				pos = ace_put(pos, aces[i]);
	return acl;
}

struct daos_acl *
daos_acl_dup(struct daos_acl *acl)
{
	struct daos_acl *dup;

	if (acl == NULL)
		return NULL;
	dup = acl_alloc(acl->dal_len);
	if (dup != NULL)
		memcpy(dup, acl, sizeof(*acl) + acl->dal_len);
	return dup;
}

void
daos_acl_free(struct daos_acl *acl)
{
	d_free(acl);
}

ssize_t
daos_acl_get_size(struct daos_acl *acl)
{
	return acl == NULL ? -DER_INVAL : (ssize_t)(sizeof(*acl) + acl->dal_len);
}

static struct daos_ace *
ace_find(struct daos_acl *acl, unsigned int type, const char *name)
{
	struct daos_ace *ace = NULL;

	while ((ace = daos_acl_get_next_ace(acl, ace)) != NULL)
		if (ace_is_of(ace, type, name))
			return ace;
	return NULL;
}

int
daos_acl_get_ace_for_principal(struct daos_acl *acl, enum daos_acl_principal_type type,
			       const char *principal, struct daos_ace **ace)
{
	struct daos_ace *found;

	if (acl == NULL || ace == NULL || !type_is_valid(type) ||
	    (type_is_named(type) && principal == NULL))
		return -DER_INVAL;
	found = ace_find(acl, type, principal);
	if (found == NULL)
		return -DER_NONEXIST;
	*ace = found;
	return 0;
}

/* A copy of acl without skip (may be NULL) and with add (may be NULL) behind those of its type. */
static struct daos_acl *
acl_rebuild(struct daos_acl *acl, const struct daos_ace *skip, const struct daos_ace *add)
{
	struct daos_acl *copy;
	struct daos_ace *ace = NULL;
	size_t len = acl->dal_len;
	uint8_t *pos;

	if (skip != NULL)
		len -= ace_size(skip);
	if (add != NULL)
		len += ace_size(add);
	copy = acl_alloc(len);
	if (copy == NULL)
		return NULL;
	copy->dal_ver = acl->dal_ver;
	copy->dal_reserv = acl->dal_reserv;
	pos = copy->dal_ace;
	while ((ace = daos_acl_get_next_ace(acl, ace)) != NULL) {
		if (add != NULL && ace->dae_principal_type > add->dae_principal_type) {
			pos = ace_put(pos, add);
			add = NULL;
		}
		if (ace != skip)
			pos = ace_put(pos, ace);
	}
	if (add != NULL)
		ace_put(pos, add);
	return copy;
}

int
daos_acl_add_ace(struct daos_acl **acl, struct daos_ace *new_ace)
{
	struct daos_acl *copy;
	struct daos_ace *old;
	const char *name = NULL;

	if (acl == NULL || *acl == NULL || daos_ace_get_size(new_ace) < 0 ||
	    !type_is_valid(new_ace->dae_principal_type))
		return -DER_INVAL;
	if (type_is_named(new_ace->dae_principal_type))
		name = new_ace->dae_principal;
	old = ace_find(*acl, new_ace->dae_principal_type, name);
	copy = acl_rebuild(*acl, old, new_ace);
	if (copy == NULL)
		return -DER_NOMEM;
	daos_acl_free(*acl);
	*acl = copy;
	return 0;
}

int
daos_acl_remove_ace(struct daos_acl **acl, enum daos_acl_principal_type type,
		    const char *principal_name)
{
	struct daos_acl *copy;
	struct daos_ace *old;
	int rc;

	if (acl == NULL)
		return -DER_INVAL;
	rc = daos_acl_get_ace_for_principal(*acl, type, principal_name, &old);
	if (rc != 0)
		return rc;
	copy = acl_rebuild(*acl, old, NULL);
	if (copy == NULL)
		return -DER_NOMEM;
	daos_acl_free(*acl);
	*acl = copy;
	return 0;
}

int
daos_acl_validate(struct daos_acl *acl)
{
	struct daos_ace *ace = NULL;
	struct daos_ace *other;
	size_t seen = 0;
	unsigned int last_type = 0;

	if (acl == NULL || acl->dal_ver != DAOS_ACL_VERSION)
		return -DER_INVAL;
	if (acl->dal_len > DAOS_ACL_MAX_ACE_LEN || acl->dal_len % ACE_ALIGN != 0)
		return -DER_INVAL;
	while ((ace = daos_acl_get_next_ace(acl, ace)) != NULL) {
		if (!daos_ace_is_valid(ace) || ace->dae_principal_type < last_type)
			return -DER_INVAL;
		last_type = ace->dae_principal_type;
		seen += ace_size(ace);
		/* Entries of a type are together: duplicates can only follow. */
		for (other = daos_acl_get_next_ace(acl, ace);
		     other != NULL && other->dae_principal_type == last_type;
		     other = daos_acl_get_next_ace(acl, other)) {
			if (!name_is_valid(other))
				return -DER_INVAL;
			if (!type_is_named(last_type) ||
			    strcmp(other->dae_principal, ace->dae_principal) == 0)
				return -DER_INVAL;
		}
	}
	/* Bytes behind the last whole entry. */
	return seen == acl->dal_len ? 0 : -DER_INVAL;
}

void
daos_acl_dump(struct daos_acl *acl)
{
	struct daos_ace *ace = NULL;

	if (acl == NULL) {
		printf("access control list: none\n");
		return;
	}
	printf("access control list: version %u, %u bytes\n", acl->dal_ver, acl->dal_len);
	while ((ace = daos_acl_get_next_ace(acl, ace)) != NULL)
		daos_ace_dump(ace, 1);
}
