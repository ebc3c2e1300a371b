/*
 * Property lists. Entries own what they point to; the kind of each comes from the table in
 * prop_desc.c. An entry of unknown type is taken as a number.
 */
#define D_LOGFAC DD_FAC(common)
#include <daos/common.h>
#include <daos_security.h>

#include "client/common/prop_desc.h"

static enum prop_kind
kind_of(uint32_t type)
{
	const struct prop_desc *desc = prop_desc_of(type);

	return desc != NULL ? desc->kind : PROP_NUM;
}

bool
daos_prop_has_str(struct daos_prop_entry *entry)
{
	return kind_of(entry->dpe_type) == PROP_STR;
}

bool
daos_prop_has_ptr(struct daos_prop_entry *entry)
{
	enum prop_kind kind = kind_of(entry->dpe_type);

	return kind == PROP_ACL || kind == PROP_RANKS || kind == PROP_ROOTS;
}

bool
daos_prop_has_byteval(struct daos_prop_entry *entry)
{
	/* No property in use has one. */
	return false;
}

static void
entry_clear(struct daos_prop_entry *entry)
{
	switch (kind_of(entry->dpe_type)) {
	case PROP_STR:
		d_free(entry->dpe_str);
		break;
	case PROP_ACL:
	case PROP_ROOTS:
		d_free(entry->dpe_val_ptr);
		break;
	case PROP_RANKS:
		d_rank_list_free(entry->dpe_val_ptr);
		break;
	case PROP_NUM:
		break;
	}
	entry->dpe_val = 0;
}

daos_prop_t *
daos_prop_alloc(uint32_t entries_nr)
{
	daos_prop_t *prop;

	if (entries_nr > DAOS_PROP_ENTRIES_MAX_NR)
		return NULL;
	prop = d_calloc(1, sizeof(*prop));
	if (prop == NULL || entries_nr == 0)
		return prop;
	prop->dpp_entries = d_calloc(entries_nr, sizeof(*prop->dpp_entries));
	if (prop->dpp_entries == NULL) {
		d_free(prop);
		return NULL;
	}
	prop->dpp_nr = entries_nr;
	return prop;
}

void
daos_prop_fini(daos_prop_t *prop)
{
	uint32_t i;

	if (prop == NULL)
		return;
	for (i = 0; prop->dpp_entries != NULL && i < prop->dpp_nr; i++)
		entry_clear(&prop->dpp_entries[i]);
	D_FREE(prop->dpp_entries);
	prop->dpp_nr = 0;
}

void
daos_prop_free(daos_prop_t *prop)
{
	daos_prop_fini(prop);
	d_free(prop);
}

struct daos_prop_entry *
daos_prop_entry_get(daos_prop_t *prop, uint32_t type)
{
	uint32_t i;

	if (prop == NULL || prop->dpp_entries == NULL)
		return NULL;
	for (i = 0; i < prop->dpp_nr; i++)
		if (prop->dpp_entries[i].dpe_type == type)
			return &prop->dpp_entries[i];
	return NULL;
}

/* ---- Copies ---- */

static void *
mem_dup(const void *src, size_t size)
{
	void *dup = d_malloc(size == 0 ? 1 : size);

	if (dup != NULL && size > 0)
		memcpy(dup, src, size);
	return dup;
}

/* dst becomes a copy of src; what dst had before is not looked at. */
static int
entry_dup(struct daos_prop_entry *dst, const struct daos_prop_entry *src)
{
	int rc = 0;

	*dst = *src;
	if (kind_of(src->dpe_type) == PROP_NUM || src->dpe_val_ptr == NULL)
		return 0;
	switch (kind_of(src->dpe_type)) {
	case PROP_STR:
		dst->dpe_str = d_strndup(src->dpe_str, DAOS_ACL_MAX_PRINCIPAL_LEN);
		break;
	case PROP_ACL:
		dst->dpe_val_ptr = daos_acl_dup(src->dpe_val_ptr);
		break;
	case PROP_ROOTS:
		dst->dpe_val_ptr = mem_dup(src->dpe_val_ptr, sizeof(struct daos_prop_co_roots));
		break;
	case PROP_RANKS:
		dst->dpe_val_ptr = NULL;
		rc = d_rank_list_dup((d_rank_list_t **)&dst->dpe_val_ptr, src->dpe_val_ptr);
		break;
	case PROP_NUM:
		break;
	}
	return rc != 0 || dst->dpe_val_ptr == NULL ? -DER_NOMEM : 0;
}

int
daos_prop_entry_copy(struct daos_prop_entry *entry, struct daos_prop_entry *entry_dup_)
{
	return entry_dup(entry_dup_, entry);
}

daos_prop_t *
daos_prop_dup(daos_prop_t *prop, bool pool, bool input)
{
	daos_prop_t *dup;
	uint32_t i;

	if (!daos_prop_valid(prop, pool, input))
		return NULL;
	dup = daos_prop_alloc(prop->dpp_nr);
	for (i = 0; dup != NULL && i < prop->dpp_nr; i++)
		if (entry_dup(&dup->dpp_entries[i], &prop->dpp_entries[i]) != 0) {
			daos_prop_free(dup);
			return NULL;
		}
	return dup;
}

int
daos_prop_copy(daos_prop_t *prop_req, daos_prop_t *prop_reply)
{
	struct daos_prop_entry *from;
	daos_prop_t *all;
	uint32_t i;
	int rc;

	if (prop_req == NULL || prop_reply == NULL)
		return -DER_INVAL;
	if (prop_req->dpp_nr == 0) {
		/* Everything is wanted. */
		all = daos_prop_alloc(prop_reply->dpp_nr);
		if (all == NULL)
			return -DER_NOMEM;
		for (i = 0; i < prop_reply->dpp_nr; i++) {
			rc = entry_dup(&all->dpp_entries[i], &prop_reply->dpp_entries[i]);
			if (rc != 0) {
				daos_prop_free(all);
				return rc;
			}
		}
		prop_req->dpp_nr = all->dpp_nr;
		prop_req->dpp_entries = all->dpp_entries;
		d_free(all);
		return 0;
	}
	for (i = 0; i < prop_req->dpp_nr; i++) {
		struct daos_prop_entry *to = &prop_req->dpp_entries[i];

		if (to->dpe_type != 0)
			from = daos_prop_entry_get(prop_reply, to->dpe_type);
		else
			from = i < prop_reply->dpp_nr ? &prop_reply->dpp_entries[i] : NULL;
		if (from == NULL)
			return -DER_NONEXIST;
		entry_clear(to);
		rc = entry_dup(to, from);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int
daos_prop_merge2(daos_prop_t *old_prop, daos_prop_t *new_prop, daos_prop_t **out_prop)
{
	daos_prop_t *merged;
	uint32_t added = 0;
	uint32_t pos = 0;
	uint32_t i;
	int rc = 0;

	if (old_prop == NULL || new_prop == NULL || out_prop == NULL)
		return -DER_INVAL;
	for (i = 0; i < new_prop->dpp_nr; i++)
		if (daos_prop_entry_get(old_prop, new_prop->dpp_entries[i].dpe_type) == NULL)
			added++;
	merged = daos_prop_alloc(old_prop->dpp_nr + added);
	if (merged == NULL)
		return -DER_NOMEM;
	for (i = 0; i < old_prop->dpp_nr && rc == 0; i++) {
		struct daos_prop_entry *from = &old_prop->dpp_entries[i];
		struct daos_prop_entry *newer = daos_prop_entry_get(new_prop, from->dpe_type);

		rc = entry_dup(&merged->dpp_entries[pos++], newer != NULL ? newer : from);
	}
	for (i = 0; i < new_prop->dpp_nr && rc == 0; i++)
		if (daos_prop_entry_get(old_prop, new_prop->dpp_entries[i].dpe_type) == NULL)
			rc = entry_dup(&merged->dpp_entries[pos++], &new_prop->dpp_entries[i]);
	if (rc != 0) {
		daos_prop_free(merged);
		return rc;
	}
	*out_prop = merged;
	return 0;
}

daos_prop_t *
daos_prop_merge(daos_prop_t *old_prop, daos_prop_t *new_prop)
{
	daos_prop_t *merged = NULL;

	return daos_prop_merge2(old_prop, new_prop, &merged) == 0 ? merged : NULL;
}

/* ---- Setting values ---- */

int
daos_prop_entry_set_str(struct daos_prop_entry *entry, const char *str, daos_size_t len)
{
	char *dup = NULL;

	if (entry == NULL || !daos_prop_has_str(entry))
		return -DER_INVAL;
	if (str != NULL && len > 0) {
		dup = d_strndup(str, len);
		if (dup == NULL)
			return -DER_NOMEM;
	}
	d_free(entry->dpe_str);
	entry->dpe_str = dup;
	return 0;
}

int
daos_prop_set_str(daos_prop_t *prop, uint32_t type, const char *str, daos_size_t len)
{
	struct daos_prop_entry *entry = daos_prop_entry_get(prop, type);

	return entry == NULL ? -DER_NONEXIST : daos_prop_entry_set_str(entry, str, len);
}

int
daos_prop_entry_set_ptr(struct daos_prop_entry *entry, const void *ptr, daos_size_t size)
{
	void *dup = NULL;
	int rc;

	if (entry == NULL || !daos_prop_has_ptr(entry))
		return -DER_INVAL;
	if (ptr != NULL && kind_of(entry->dpe_type) == PROP_RANKS) {
		rc = d_rank_list_dup((d_rank_list_t **)&dup, ptr);
		if (rc != 0)
			return rc;
	} else if (ptr != NULL && size > 0) {
		dup = mem_dup(ptr, size);
		if (dup == NULL)
			return -DER_NOMEM;
	}
	entry_clear(entry);
	entry->dpe_val_ptr = dup;
	return 0;
}

int
daos_prop_set_ptr(daos_prop_t *prop, uint32_t type, const void *ptr, daos_size_t size)
{
	struct daos_prop_entry *entry = daos_prop_entry_get(prop, type);

	return entry == NULL ? -DER_NONEXIST : daos_prop_entry_set_ptr(entry, ptr, size);
}

int
daos_prop_entry_dup_ptr(struct daos_prop_entry *entry_dst, struct daos_prop_entry *entry_src,
			size_t len)
{
	if (entry_dst == NULL || entry_src == NULL || entry_src->dpe_val_ptr == NULL)
		return -DER_INVAL;
	entry_dst->dpe_val_ptr = mem_dup(entry_src->dpe_val_ptr, len);
	return entry_dst->dpe_val_ptr == NULL ? -DER_NOMEM : 0;
}

int
daos_prop_entry_dup_co_roots(struct daos_prop_entry *dst, struct daos_prop_entry *src)
{
	void *dup;

	if (dst == NULL || src == NULL || src->dpe_val_ptr == NULL)
		return -DER_INVAL;
	dup = mem_dup(src->dpe_val_ptr, sizeof(struct daos_prop_co_roots));
	if (dup == NULL)
		return -DER_NOMEM;
	d_free(dst->dpe_val_ptr);
	dst->dpe_val_ptr = dup;
	return 0;
}

int
daos_prop_entry_set_byteval(struct daos_prop_entry *entry, const void *data, size_t len)
{
	return -DER_INVAL;
}

int
daos_prop_set_byteval(daos_prop_t *prop, uint32_t type, const void *data, size_t len)
{
	return daos_prop_entry_get(prop, type) == NULL ? -DER_NONEXIST : -DER_INVAL;
}

int
daos_prop_entry_dup_byteval(struct daos_prop_entry *entry_dst, struct daos_prop_entry *entry_src)
{
	const struct daos_prop_byteval *src;
	struct daos_prop_byteval *dup;

	if (entry_dst == NULL || entry_src == NULL || entry_src->dpe_val_ptr == NULL)
		return -DER_INVAL;
	src = entry_src->dpe_val_ptr;
	dup = d_calloc(1, sizeof(*dup));
	if (dup == NULL)
		return -DER_NOMEM;
	dup->dpb_data = mem_dup(src->dpb_data, src->dpb_len);
	if (dup->dpb_data == NULL) {
		d_free(dup);
		return -DER_NOMEM;
	}
	dup->dpb_len = src->dpb_len;
	entry_dst->dpe_val_ptr = dup;
	return 0;
}

int
daos_prop_entry_cmp_acl(struct daos_prop_entry *entry1, struct daos_prop_entry *entry2)
{
	struct daos_acl *acl1 = entry1->dpe_val_ptr;
	struct daos_acl *acl2 = entry2->dpe_val_ptr;

	if (acl1 == NULL || acl2 == NULL)
		return acl1 == acl2 ? 0 : -DER_MISMATCH;
	if (acl1->dal_len != acl2->dal_len ||
	    memcmp(acl1, acl2, sizeof(*acl1) + acl1->dal_len) != 0)
		return -DER_MISMATCH;
	return 0;
}

/* ---- Validation ---- */

static bool
str_is_valid(const struct daos_prop_entry *entry)
{
	if (entry->dpe_type == DAOS_PROP_PO_LABEL || entry->dpe_type == DAOS_PROP_CO_LABEL)
		return daos_label_is_valid(entry->dpe_str);
	/* Owner or owner group. */
	return daos_acl_principal_is_valid(entry->dpe_str);
}

static bool
entry_is_valid(const struct prop_desc *desc, const struct daos_prop_entry *entry)
{
	switch (desc->kind) {
	case PROP_STR:
		return str_is_valid(entry);
	case PROP_ACL:
		return daos_acl_validate(entry->dpe_val_ptr) == 0;
	case PROP_RANKS:
		return true;
	case PROP_ROOTS:
		return entry->dpe_val_ptr != NULL;
	case PROP_NUM:
		return prop_num_is_valid(desc, entry->dpe_val);
	}
	return false;
}

bool
daos_prop_valid(daos_prop_t *prop, bool pool, bool input)
{
	/* A bit for each type: both numberings have fewer than 64. */
	uint64_t seen = 0;
	uint32_t base = pool ? DAOS_PROP_PO_MIN : DAOS_PROP_CO_MIN;
	uint32_t i;

	D_CASSERT(DAOS_PROP_PO_NUM < 64 && DAOS_PROP_CO_NUM < 64);
	if (prop == NULL || prop->dpp_nr > DAOS_PROP_ENTRIES_MAX_NR)
		return false;
	if ((prop->dpp_nr == 0) != (prop->dpp_entries == NULL))
		return false;
	for (i = 0; i < prop->dpp_nr; i++) {
		const struct daos_prop_entry *entry = &prop->dpp_entries[i];
		const struct prop_desc *desc = prop_desc_of(entry->dpe_type);
		uint64_t bit;

		if (desc == NULL || (entry->dpe_type < DAOS_PROP_CO_MIN) != pool)
			return false;
		bit = 1ULL << (entry->dpe_type - base);
		if (seen & bit)
			return false;
		seen |= bit;
		if (input && !entry_is_valid(desc, entry))
			return false;
	}
	return true;
}

/* ---- Text ---- */

/* One "name:value" of len bytes into an entry. */
static int
entry_parse(struct daos_prop_entry *entry, const char *text, size_t len)
{
	const char *colon = memchr(text, ':', len);
	const struct prop_desc *desc;
	size_t val_len;

	if (colon == NULL)
		return -DER_INVAL;
	desc = prop_desc_named(false, text, (size_t)(colon - text));
	if (desc == NULL) {
		D_ERROR("unknown property in '%.*s'\n", (int)len, text);
		return -DER_INVAL;
	}
	if ((desc->flags & PROP_CREATE) == 0) {
		D_ERROR("property %s cannot be set\n", desc->name);
		return -DER_INVAL;
	}
	val_len = len - (size_t)(colon + 1 - text);
	entry->dpe_type = desc->type;
	if (desc->kind != PROP_STR)
		return prop_num_parse(desc, colon + 1, val_len, &entry->dpe_val);
	entry->dpe_str = d_strndup(colon + 1, val_len);
	if (entry->dpe_str == NULL)
		return -DER_NOMEM;
	return str_is_valid(entry) ? 0 : -DER_INVAL;
}

int
daos_prop_from_str(const char *str, daos_size_t len, daos_prop_t **prop)
{
	daos_prop_t *parsed;
	const char *end;
	const char *pos;
	uint32_t nr = 1;
	uint32_t i = 0;
	int rc = 0;

	if (str == NULL || len == 0 || prop == NULL)
		return -DER_INVAL;
	len = strnlen(str, len);
	end = str + len;
	for (pos = str; pos < end; pos++)
		nr += *pos == ';';
	parsed = daos_prop_alloc(nr);
	if (parsed == NULL)
		return nr > DAOS_PROP_ENTRIES_MAX_NR ? -DER_INVAL : -DER_NOMEM;
	for (pos = str; pos < end && rc == 0;) {
		const char *semi = memchr(pos, ';', (size_t)(end - pos));
		size_t item_len = (size_t)((semi != NULL ? semi : end) - pos);

		if (item_len > 0)
			rc = entry_parse(&parsed->dpp_entries[i++], pos, item_len);
		pos += item_len + 1;
	}
	/* Empty items left entries unused at the end. */
	parsed->dpp_nr = MAX(i, 1u);
	if (rc == 0 && (i == 0 || !daos_prop_valid(parsed, false, true)))
		rc = -DER_INVAL;
	if (rc != 0) {
		daos_prop_free(parsed);
		return rc;
	}
	*prop = parsed;
	return 0;
}
