/*
 * Access control entries as text: TYPES:FLAGS:PRINCIPAL:PERMISSIONS.
 *
 *	A:G:staff@:rwt		the group staff may read, write and see properties
 *	UL:F:mallory@:rw	log and raise an alarm when mallory is refused reading or writing
 *
 * Each field but the principal is a set of letters, one table for each below. Printing uses the
 * tables' order; parsing takes any order. Text has one set of permissions for all access types, so
 * an entry with different sets cannot be printed.
 */
#include <gurt/common.h>
#include <daos_security.h>

struct letter {
	char letter;
	uint64_t bit;
	const char *word; /* for the verbose form */
};

static const struct letter type_letters[] = {
    {'A', DAOS_ACL_ACCESS_ALLOW, "Allow"},
    {'U', DAOS_ACL_ACCESS_AUDIT, "Audit"},
    {'L', DAOS_ACL_ACCESS_ALARM, "Alarm"},
    {0},
};

static const struct letter flag_letters[] = {
    {'G', DAOS_ACL_FLAG_GROUP, "Group"},
    {'S', DAOS_ACL_FLAG_ACCESS_SUCCESS, "Access-Success"},
    {'F', DAOS_ACL_FLAG_ACCESS_FAIL, "Access-Failure"},
    {'P', DAOS_ACL_FLAG_POOL_INHERIT, "Pool-Inherit"},
    {0},
};

static const struct letter perm_letters[] = {
    {'r', DAOS_ACL_PERM_READ, "Read"},
    {'w', DAOS_ACL_PERM_WRITE, "Write"},
    {'c', DAOS_ACL_PERM_CREATE_CONT, "Create-Container"},
    {'d', DAOS_ACL_PERM_DEL_CONT, "Delete-Container"},
    {'t', DAOS_ACL_PERM_GET_PROP, "Get-Prop"},
    {'T', DAOS_ACL_PERM_SET_PROP, "Set-Prop"},
    {'a', DAOS_ACL_PERM_GET_ACL, "Get-ACL"},
    {'A', DAOS_ACL_PERM_SET_ACL, "Set-ACL"},
    {'o', DAOS_ACL_PERM_SET_OWNER, "Set-Owner"},
    {0},
};

#define FIELD_NR 4 /* types, flags, principal, permissions */

struct field {
	const char *text;
	size_t len;
};

static int
letters_parse(const struct letter *table, struct field field, uint64_t *ret_bits)
{
	uint64_t bits = 0;
	size_t i;

	for (i = 0; i < field.len; i++) {
		const struct letter *l = table;

		while (l->letter != 0 && l->letter != field.text[i])
			l++;
		if (l->letter == 0)
			return -DER_INVAL;
		bits |= l->bit;
	}
	*ret_bits = bits;
	return 0;
}

/* Cut into exactly FIELD_NR fields at the colons. */
static int
fields_split(const char *str, struct field fields[FIELD_NR])
{
	int i;

	if (strnlen(str, DAOS_ACL_MAX_ACE_STR_LEN + 1) > DAOS_ACL_MAX_ACE_STR_LEN)
		return -DER_INVAL;
	for (i = 0; i < FIELD_NR; i++) {
		fields[i].text = str;
		fields[i].len = strcspn(str, ":");
		str += fields[i].len;
		if ((*str == ':') != (i < FIELD_NR - 1))
			return -DER_INVAL;
		str++;
	}
	return 0;
}

/* The type of a principal follows from its name, and for other names from the group flag. */
static enum daos_acl_principal_type
principal_type(const char *name, bool is_group)
{
	if (strcmp(name, DAOS_ACL_PRINCIPAL_OWNER) == 0)
		return DAOS_ACL_OWNER;
	if (strcmp(name, DAOS_ACL_PRINCIPAL_OWNER_GRP) == 0)
		return DAOS_ACL_OWNER_GROUP;
	if (strcmp(name, DAOS_ACL_PRINCIPAL_EVERYONE) == 0)
		return DAOS_ACL_EVERYONE;
	return is_group ? DAOS_ACL_GROUP : DAOS_ACL_USER;
}

int
daos_ace_from_str(const char *str, struct daos_ace **ace)
{
	struct field fields[FIELD_NR];
	char name[DAOS_ACL_MAX_PRINCIPAL_BUF_LEN];
	struct daos_ace *new_ace;
	uint64_t types;
	uint64_t flags;
	uint64_t perms;
	int rc;

	if (str == NULL || ace == NULL)
		return -DER_INVAL;
	rc = fields_split(str, fields);
	if (rc == 0)
		rc = letters_parse(type_letters, fields[0], &types);
	if (rc == 0)
		rc = letters_parse(flag_letters, fields[1], &flags);
	if (rc == 0)
		rc = letters_parse(perm_letters, fields[3], &perms);
	if (rc != 0)
		return rc;
	if (fields[2].len > DAOS_ACL_MAX_PRINCIPAL_LEN)
		return -DER_INVAL;
	memcpy(name, fields[2].text, fields[2].len);
	name[fields[2].len] = '\0';
	if (!daos_acl_principal_is_valid(name))
		return -DER_INVAL;

	new_ace = daos_ace_create(principal_type(name, flags & DAOS_ACL_FLAG_GROUP), name);
	if (new_ace == NULL)
		return -DER_NOMEM;
	new_ace->dae_access_types = (uint8_t)types;
	new_ace->dae_access_flags = (uint16_t)flags;
	new_ace->dae_allow_perms = types & DAOS_ACL_ACCESS_ALLOW ? perms : 0;
	new_ace->dae_audit_perms = types & DAOS_ACL_ACCESS_AUDIT ? perms : 0;
	new_ace->dae_alarm_perms = types & DAOS_ACL_ACCESS_ALARM ? perms : 0;
	if (!daos_ace_is_valid(new_ace)) {
		daos_ace_free(new_ace);
		return -DER_INVAL;
	}
	*ace = new_ace;
	return 0;
}

/* The one set of permissions; -DER_INVAL when access types differ. */
static int
ace_perms(const struct daos_ace *ace, uint64_t *ret_perms)
{
	const struct {
		unsigned int type;
		uint64_t perms;
	} rows[] = {{DAOS_ACL_ACCESS_ALLOW, ace->dae_allow_perms},
		    {DAOS_ACL_ACCESS_AUDIT, ace->dae_audit_perms},
		    {DAOS_ACL_ACCESS_ALARM, ace->dae_alarm_perms}};
	bool found = false;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if ((ace->dae_access_types & rows[i].type) == 0)
			continue;
		if (found && *ret_perms != rows[i].perms)
			return -DER_INVAL;
		*ret_perms = rows[i].perms;
		found = true;
	}
	return found ? 0 : -DER_INVAL;
}

static void
letters_print(struct d_string_buffer_t *buf, const struct letter *table, uint64_t bits)
{
	for (; table->letter != 0; table++)
		if (bits & table->bit)
			d_write_string_buffer(buf, "%c", table->letter);
}

static void
words_print(struct d_string_buffer_t *buf, const struct letter *table, uint64_t bits,
	    const char *none)
{
	const char *sep = "";

	if (bits == 0)
		d_write_string_buffer(buf, "%s", none);
	for (; table->letter != 0; table++)
		if (bits & table->bit) {
			d_write_string_buffer(buf, "%s%s", sep, table->word);
			sep = "/";
		}
}

/* Hand a finished text over to a buffer of the caller; -DER_TRUNC when it does not fit. */
static int
buf_copy_out(struct d_string_buffer_t *text, char *buf, size_t buf_len)
{
	int rc = text->status;

	if (rc == 0) {
		snprintf(buf, buf_len, "%s", text->str);
		rc = text->str_size < buf_len ? 0 : -DER_TRUNC;
	}
	d_free_string(text);
	return rc;
}

int
daos_ace_to_str(struct daos_ace *ace, char *buf, size_t buf_len)
{
	struct d_string_buffer_t text = {0};
	uint64_t perms = 0;
	int rc;

	if (ace == NULL || buf == NULL || buf_len == 0 || !daos_ace_is_valid(ace))
		return -DER_INVAL;
	rc = ace_perms(ace, &perms);
	if (rc != 0)
		return rc;
	letters_print(&text, type_letters, ace->dae_access_types);
	d_write_string_buffer(&text, ":");
	letters_print(&text, flag_letters, ace->dae_access_flags);
	d_write_string_buffer(&text, ":%s:", daos_ace_get_principal_str(ace));
	letters_print(&text, perm_letters, perms);
	return buf_copy_out(&text, buf, buf_len);
}

static const char *
principal_word(const struct daos_ace *ace)
{
	switch (ace->dae_principal_type) {
	case DAOS_ACL_OWNER:
		return "Owner";
	case DAOS_ACL_OWNER_GROUP:
		return "Owner-Group";
	case DAOS_ACL_EVERYONE:
		return "Everyone";
	default:
		return ace->dae_principal;
	}
}

int
daos_ace_str_get_verbose(const char *ace_str, char *buf, size_t buf_len)
{
	struct d_string_buffer_t text = {0};
	struct daos_ace *ace;
	uint64_t perms = 0;
	int rc;

	if (ace_str == NULL || buf == NULL || buf_len == 0)
		return -DER_INVAL;
	rc = daos_ace_from_str(ace_str, &ace);
	if (rc != 0)
		return rc;
	ace_perms(ace, &perms);
	words_print(&text, type_letters, ace->dae_access_types, "");
	d_write_string_buffer(&text, ":");
	words_print(&text, flag_letters, ace->dae_access_flags, "");
	d_write_string_buffer(&text, ":%s:", principal_word(ace));
	words_print(&text, perm_letters, perms, "No-Access");
	daos_ace_free(ace);
	return buf_copy_out(&text, buf, buf_len);
}

int
daos_acl_from_strs(const char **ace_strs, size_t ace_nr, struct daos_acl **acl)
{
	struct daos_ace **aces;
	struct daos_acl *new_acl;
	size_t i;
	int rc = 0;

	if (ace_strs == NULL || ace_nr == 0 || ace_nr > UINT16_MAX || acl == NULL)
		return -DER_INVAL;
	aces = d_calloc(ace_nr, sizeof(*aces));
	if (aces == NULL)
		return -DER_NOMEM;
	for (i = 0; i < ace_nr && rc == 0; i++)
		rc = daos_ace_from_str(ace_strs[i], &aces[i]);
	if (rc == 0) {
		new_acl = daos_acl_create(aces, (uint16_t)ace_nr);
		rc = new_acl == NULL ? -DER_NOMEM : daos_acl_validate(new_acl);
		if (rc == 0)
			*acl = new_acl;
		else
			daos_acl_free(new_acl);
	}
	for (i = 0; i < ace_nr; i++)
		daos_ace_free(aces[i]);
	d_free(aces);
	return rc;
}

int
daos_acl_to_strs(struct daos_acl *acl, char ***ace_strs, size_t *ace_nr)
{
	char text[DAOS_ACL_MAX_ACE_STR_LEN + 1];
	struct daos_ace *ace = NULL;
	char **strs;
	size_t nr = 0;
	size_t i = 0;
	int rc;

	if (ace_strs == NULL || ace_nr == NULL)
		return -DER_INVAL;
	rc = daos_acl_validate(acl);
	if (rc != 0)
		return rc;
	while ((ace = daos_acl_get_next_ace(acl, ace)) != NULL)
		nr++;
	/* One more, so that an empty list gives memory that can be freed too. */
	strs = d_calloc(nr + 1, sizeof(*strs));
	if (strs == NULL)
		return -DER_NOMEM;
	while (rc == 0 && (ace = daos_acl_get_next_ace(acl, ace)) != NULL) {
		rc = daos_ace_to_str(ace, text, sizeof(text));
		if (rc != 0)
			break;
		strs[i] = d_strndup(text, sizeof(text));
		if (strs[i++] == NULL)
			rc = -DER_NOMEM;
	}
	if (rc != 0) {
		for (i = 0; i < nr; i++)
			d_free(strs[i]);
		d_free(strs);
		return rc;
	}
	*ace_strs = strs;
	*ace_nr = nr;
	return 0;
}

int
daos_acl_to_stream(FILE *stream, struct daos_acl *acl, bool verbose)
{
	char words[DAOS_ACL_MAX_ACE_STR_LEN * 2];
	char **strs = NULL;
	size_t nr = 0;
	size_t i;
	int rc = 0;

	if (stream == NULL)
		return -DER_INVAL;
	if (acl != NULL)
		rc = daos_acl_to_strs(acl, &strs, &nr);
	if (rc != 0)
		return rc;
	rc = D_FPRINTF(stream, "# Entries:\n");
	if (rc == 0 && nr == 0)
		rc = D_FPRINTF(stream, "#   None\n");
	for (i = 0; i < nr; i++) {
		if (rc == 0 && verbose &&
		    daos_ace_str_get_verbose(strs[i], words, sizeof(words)) == 0)
			rc = D_FPRINTF(stream, "# %s\n", words);
		if (rc == 0)
			rc = D_FPRINTF(stream, "%s\n", strs[i]);
		d_free(strs[i]);
	}
	d_free(strs);
	return rc;
}

int
daos_acl_principal_from_str(const char *principal_str, enum daos_acl_principal_type *type,
			    char **name)
{
	bool is_group;

	if (principal_str == NULL || type == NULL || name == NULL)
		return -DER_INVAL;
	is_group = strncmp(principal_str, "g:", 2) == 0;
	if (is_group || strncmp(principal_str, "u:", 2) == 0) {
		if (!daos_acl_principal_is_valid(principal_str + 2))
			return -DER_INVAL;
		*name = d_strndup(principal_str + 2, DAOS_ACL_MAX_PRINCIPAL_LEN);
		*type = is_group ? DAOS_ACL_GROUP : DAOS_ACL_USER;
		return *name == NULL ? -DER_NOMEM : 0;
	}
	*type = principal_type(principal_str, false);
	if (*type == DAOS_ACL_USER)
		return -DER_INVAL;
	*name = NULL;
	return 0;
}
