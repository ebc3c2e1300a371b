/*
 * Properties between the public list and control messages.
 *
 * Numbers and strings travel as such. What the public list points to travels as a blob: an ACL as
 * it lies in memory (its public layout is flat), the roots as eight little-endian words.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <daos_security.h>

#include "client/core/prop_msg.h"
#include "base/mem.h"
#include "proto/mgmt_defs.h"

enum { ROOTS_WORDS = 8, ROOTS_BYTES = ROOTS_WORDS * 8 };

void
prop_msgs_free(Mgmt__Prop **msgs, size_t nr)
{
	size_t i;

	if (msgs == NULL)
		return;
	for (i = 0; i < nr; i++)
		if (msgs[i] != NULL)
			mgmt__prop__free_unpacked(msgs[i], NULL);
	free(msgs);
}

static bool
is_acl(uint32_t type)
{
	return type == DAOS_PROP_PO_ACL || type == DAOS_PROP_CO_ACL;
}

static int
blob_of_entry(const struct daos_prop_entry *e, ProtobufCBinaryData *ret_blob)
{
	if (is_acl(e->dpe_type)) {
		ssize_t len = daos_acl_get_size(e->dpe_val_ptr);

		if (len < 0)
			return (int)len;
		ret_blob->data = mem_dup(e->dpe_val_ptr, len);
		ret_blob->len = len;
	} else if (e->dpe_type == DAOS_PROP_CO_ROOTS) {
		const struct daos_prop_co_roots *roots = e->dpe_val_ptr;
		uint64_t w[ROOTS_WORDS];
		int i;

		for (i = 0; i < 4; i++) {
			w[2 * i] = htole64(roots->cr_oids[i].lo);
			w[2 * i + 1] = htole64(roots->cr_oids[i].hi);
		}
		ret_blob->data = mem_dup(w, sizeof(w));
		ret_blob->len = sizeof(w);
	} else {
		return -DER_INVAL;
	}
	return ret_blob->data == NULL ? -DER_NOMEM : 0;
}

static int
msg_of_entry(const struct daos_prop_entry *e, Mgmt__Prop *msg)
{
	/* the predicates of the public header take a non-const entry but do not change it */
	struct daos_prop_entry *entry = (struct daos_prop_entry *)e;

	msg->type = e->dpe_type;
	if (daos_prop_has_str(entry)) {
		if (e->dpe_str == NULL)
			return -DER_INVAL;
		msg->kind = PROP_KIND_STR;
		msg->str = mem_strdup(e->dpe_str);
		return msg->str == NULL ? -DER_NOMEM : 0;
	}
	if (daos_prop_has_ptr(entry)) {
		if (e->dpe_val_ptr == NULL)
			return -DER_INVAL;
		msg->kind = PROP_KIND_BLOB;
		return blob_of_entry(e, &msg->blob);
	}
	msg->kind = PROP_KIND_NUM;
	msg->num = e->dpe_val;
	return 0;
}

int
prop_to_msgs(const daos_prop_t *prop, Mgmt__Prop ***ret_msgs, size_t *ret_nr)
{
	uint32_t nr = prop == NULL ? 0 : prop->dpp_nr;
	Mgmt__Prop **msgs = mem_calloc(nr + 1, sizeof(*msgs));
	uint32_t i, out = 0;
	int rc = 0;

	if (msgs == NULL)
		return -DER_NOMEM;
	for (i = 0; rc == 0 && i < nr; i++) {
		const struct daos_prop_entry *e = &prop->dpp_entries[i];

		if (e->dpe_flags & DAOS_PROP_ENTRY_NOT_SET)
			continue;
		msgs[out] = mem_new(Mgmt__Prop);
		if (msgs[out] == NULL) {
			rc = -DER_NOMEM;
		} else {
			mgmt__prop__init(msgs[out]);
			rc = msg_of_entry(e, msgs[out++]);
		}
	}
	if (rc != 0) {
		prop_msgs_free(msgs, out);
		return rc;
	}
	*ret_msgs = msgs;
	*ret_nr = out;
	return 0;
}

/* --- and back --- */

static int
entry_set_blob(struct daos_prop_entry *e, const ProtobufCBinaryData *blob)
{
	if (is_acl(e->dpe_type)) {
		struct daos_acl *acl;

		if (blob->len < sizeof(*acl))
			return -DER_PROTO;
		acl = mem_dup(blob->data, blob->len);
		if (acl == NULL)
			return -DER_NOMEM;
		if (blob->len != sizeof(*acl) + acl->dal_len || daos_acl_validate(acl) != 0) {
			free(acl);
			return -DER_PROTO;
		}
		e->dpe_val_ptr = acl;
	} else if (e->dpe_type == DAOS_PROP_CO_ROOTS) {
		struct daos_prop_co_roots *roots;
		uint64_t w[ROOTS_WORDS];
		int i;

		if (blob->len != ROOTS_BYTES)
			return -DER_PROTO;
		roots = mem_new(struct daos_prop_co_roots);
		if (roots == NULL)
			return -DER_NOMEM;
		memcpy(w, blob->data, sizeof(w));
		for (i = 0; i < 4; i++) {
			roots->cr_oids[i].lo = le64toh(w[2 * i]);
			roots->cr_oids[i].hi = le64toh(w[2 * i + 1]);
		}
		e->dpe_val_ptr = roots;
	} else {
		return -DER_PROTO;
	}
	return 0;
}

static int
entry_set(struct daos_prop_entry *e, const Mgmt__Prop *msg)
{
	e->dpe_type = msg->type;
	e->dpe_flags &= ~DAOS_PROP_ENTRY_NOT_SET;
	switch (msg->kind) {
	case PROP_KIND_NUM:
		e->dpe_val = msg->num;
		return 0;
	case PROP_KIND_STR:
		if (!daos_prop_has_str(e))
			return -DER_PROTO;
		e->dpe_str = mem_strdup(msg->str);
		return e->dpe_str == NULL ? -DER_NOMEM : 0;
	case PROP_KIND_BLOB:
		return entry_set_blob(e, &msg->blob);
	default:
		return -DER_PROTO;
	}
}

int
prop_from_msgs(daos_prop_t *prop, Mgmt__Prop *const *msgs, size_t nr)
{
	bool any = prop->dpp_nr > 0 && prop->dpp_entries[0].dpe_type == 0;
	uint32_t i;
	size_t j;
	int rc;

	for (i = 0; i < prop->dpp_nr; i++) {
		struct daos_prop_entry *e = &prop->dpp_entries[i];

		for (j = any ? i : 0; j < nr; j++)
			if (any || msgs[j]->type == e->dpe_type)
				break;
		if (j >= nr) {
			e->dpe_flags |= DAOS_PROP_ENTRY_NOT_SET;
			e->dpe_val = 0;
			continue;
		}
		rc = entry_set(e, msgs[j]);
		if (rc != 0) {
			e->dpe_flags |= DAOS_PROP_ENTRY_NOT_SET;
			e->dpe_val = 0;
			return rc;
		}
	}
	return 0;
}

uint64_t
prop_msg_num(Mgmt__Prop *const *msgs, size_t nr, uint32_t type, uint64_t dflt)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (msgs[i]->type == type && msgs[i]->kind == PROP_KIND_NUM)
			return msgs[i]->num;
	return dflt;
}
