/*
 * The table of properties and operations on lists of them.
 *
 * The redundancy factor of a new pool is publicly 3 by default. As long as only classes without
 * redundancy can be placed, that would make every object with an automatic class fail, so the
 * default is 0 until then; a factor that is asked for is kept.
 */
#include "server/mgmt/prop.h"

#include <stdlib.h>
#include <string.h>

#include <daos_errno.h>
#include <daos_prop.h>
#include <daos_security.h>

#include "base/cleanup.h"
#include "base/csum.h"
#include "base/mem.h"

enum {
	PF_CREATE = 1, /* may be given at creation */
	PF_SET = 2,    /* may be changed */
};

struct prop_def {
	uint32_t type;
	uint32_t kind; /* enum prop_kind */
	uint32_t flags;
	uint32_t inherit; /* the pool's property that gives the default, 0 = none */
	uint64_t def;
	uint64_t min;
	uint64_t max;
	uint64_t multiple; /* 0 = any */
};

#define NUM(type_, flags_, def_, min_, max_)                                                       \
	{                                                                                          \
		.type = (type_), .kind = PROP_KIND_NUM, .flags = (flags_), .def = (def_),          \
		.min = (min_), .max = (max_)                                                       \
	}
#define INHERITED(type_, from_, def_, min_, max_)                                                  \
	{                                                                                          \
		.type = (type_), .kind = PROP_KIND_NUM, .flags = PF_CREATE, .inherit = (from_),    \
		.def = (def_), .min = (min_), .max = (max_)                                        \
	}

static const struct prop_def pool_defs[] = {
    {.type = DAOS_PROP_PO_LABEL, .kind = PROP_KIND_STR, .flags = PF_CREATE | PF_SET},
    {.type = DAOS_PROP_PO_ACL, .kind = PROP_KIND_BLOB, .flags = PF_CREATE | PF_SET},
    NUM(DAOS_PROP_PO_SPACE_RB, PF_CREATE | PF_SET, 5, 0, 100),
    NUM(DAOS_PROP_PO_SELF_HEAL, PF_CREATE | PF_SET,
	DAOS_SELF_HEAL_AUTO_EXCLUDE | DAOS_SELF_HEAL_AUTO_REBUILD, 0, 7),
    NUM(DAOS_PROP_PO_RECLAIM, PF_CREATE | PF_SET, DAOS_RECLAIM_LAZY, 0, DAOS_RECLAIM_TIME),
    {.type = DAOS_PROP_PO_OWNER, .kind = PROP_KIND_STR, .flags = PF_CREATE | PF_SET},
    {.type = DAOS_PROP_PO_OWNER_GROUP, .kind = PROP_KIND_STR, .flags = PF_CREATE | PF_SET},
    NUM(DAOS_PROP_PO_EC_CELL_SZ, PF_CREATE | PF_SET, 128 << 10, DAOS_PROP_PO_EC_CELL_SZ_MIN,
	DAOS_PROP_PO_EC_CELL_SZ_MAX),
    NUM(DAOS_PROP_PO_DATA_THRESH, PF_CREATE | PF_SET, DAOS_PROP_PO_DATA_THRESH_DEFAULT, 0,
	UINT32_MAX),
    NUM(DAOS_PROP_PO_REDUN_FAC, PF_CREATE, 0, 0, DAOS_PROP_PO_REDUN_FAC_MAX),
    NUM(DAOS_PROP_PO_EC_PDA, PF_CREATE | PF_SET, DAOS_PROP_PO_EC_PDA_DEFAULT, 0, UINT32_MAX),
    NUM(DAOS_PROP_PO_RP_PDA, PF_CREATE | PF_SET, DAOS_PROP_PO_RP_PDA_DEFAULT, 0, UINT32_MAX),
    NUM(DAOS_PROP_PO_GLOBAL_VERSION, 0, 1, 0, UINT32_MAX),
    NUM(DAOS_PROP_PO_UPGRADE_STATUS, 0, DAOS_UPGRADE_STATUS_NOT_STARTED, 0, 3),
    NUM(DAOS_PROP_PO_SCRUB_MODE, PF_CREATE | PF_SET, DAOS_PROP_PO_SCRUB_MODE_DEFAULT, 0,
	DAOS_SCRUB_MODE_TIMED),
    NUM(DAOS_PROP_PO_SCRUB_FREQ, PF_CREATE | PF_SET, DAOS_PROP_PO_SCRUB_FREQ_DEFAULT, 0,
	UINT32_MAX),
    NUM(DAOS_PROP_PO_SCRUB_THRESH, PF_CREATE | PF_SET, DAOS_PROP_PO_SCRUB_THRESH_DEFAULT, 0,
	UINT32_MAX),
    NUM(DAOS_PROP_PO_SVC_REDUN_FAC, PF_CREATE, DAOS_PROP_PO_SVC_REDUN_FAC_DEFAULT, 0,
	DAOS_PROP_PO_SVC_REDUN_FAC_MAX),
    NUM(DAOS_PROP_PO_OBJ_VERSION, 0, 1, 0, UINT32_MAX),
    NUM(DAOS_PROP_PO_PERF_DOMAIN, PF_CREATE, DAOS_PROP_PO_PERF_DOMAIN_DEFAULT,
	DAOS_PROP_PERF_DOMAIN_GROUP, DAOS_PROP_PERF_DOMAIN_ROOT),
    NUM(DAOS_PROP_PO_CHECKPOINT_MODE, PF_CREATE | PF_SET, DAOS_PROP_PO_CHECKPOINT_MODE_DEFAULT, 0,
	DAOS_CHECKPOINT_LAZY),
    NUM(DAOS_PROP_PO_CHECKPOINT_FREQ, PF_CREATE | PF_SET, DAOS_PROP_PO_CHECKPOINT_FREQ_DEFAULT,
	DAOS_PROP_PO_CHECKPOINT_FREQ_MIN, DAOS_PROP_PO_CHECKPOINT_FREQ_MAX),
    NUM(DAOS_PROP_PO_CHECKPOINT_THRESH, PF_CREATE | PF_SET, DAOS_PROP_PO_CHECKPOINT_THRESH_DEFAULT,
	DAOS_PROP_PO_CHECKPOINT_THRESH_MIN, DAOS_PROP_PO_CHECKPOINT_THRESH_MAX),
    NUM(DAOS_PROP_PO_REINT_MODE, PF_CREATE | PF_SET, DAOS_PROP_PO_REINT_MODE_DEFAULT, 0,
	DAOS_REINT_MODE_INCREMENTAL),
    NUM(DAOS_PROP_PO_SVC_OPS_ENABLED, PF_CREATE | PF_SET, DAOS_PROP_PO_SVC_OPS_ENABLED_DEFAULT, 0,
	1),
    NUM(DAOS_PROP_PO_SVC_OPS_ENTRY_AGE, PF_CREATE | PF_SET, DAOS_PROP_PO_SVC_OPS_ENTRY_AGE_DEFAULT,
	DAOS_PROP_PO_SVC_OPS_ENTRY_AGE_MIN, DAOS_PROP_PO_SVC_OPS_ENTRY_AGE_MAX),
};

static const struct prop_def cont_defs[] = {
    {.type = DAOS_PROP_CO_LABEL, .kind = PROP_KIND_STR, .flags = PF_CREATE | PF_SET},
    NUM(DAOS_PROP_CO_LAYOUT_TYPE, PF_CREATE, DAOS_PROP_CO_LAYOUT_UNKNOWN, 0,
	DAOS_PROP_CO_LAYOUT_MAX - 1),
    NUM(DAOS_PROP_CO_LAYOUT_VER, PF_CREATE, 1, 0, UINT32_MAX),
    NUM(DAOS_PROP_CO_CSUM, PF_CREATE, DAOS_PROP_CO_CSUM_OFF, 0, DAOS_PROP_CO_CSUM_ADLER32),
    NUM(DAOS_PROP_CO_CSUM_CHUNK_SIZE, PF_CREATE, 32 << 10, CSUM_CHUNK_MIN, UINT32_MAX),
    NUM(DAOS_PROP_CO_CSUM_SERVER_VERIFY, PF_CREATE, DAOS_PROP_CO_CSUM_SV_OFF, 0,
	DAOS_PROP_CO_CSUM_SV_ON),
    INHERITED(DAOS_PROP_CO_REDUN_FAC, DAOS_PROP_PO_REDUN_FAC, 0, 0, DAOS_RF_MAX),
    NUM(DAOS_PROP_CO_REDUN_LVL, PF_CREATE, DAOS_PROP_CO_REDUN_DEFAULT, DAOS_PROP_CO_REDUN_MIN,
	DAOS_PROP_CO_REDUN_MAX),
    NUM(DAOS_PROP_CO_SNAPSHOT_MAX, PF_CREATE, 0, 0, UINT32_MAX),
    {.type = DAOS_PROP_CO_ACL, .kind = PROP_KIND_BLOB, .flags = PF_CREATE | PF_SET},
    NUM(DAOS_PROP_CO_COMPRESS, PF_CREATE, DAOS_PROP_CO_COMPRESS_OFF, 0,
	DAOS_PROP_CO_COMPRESS_DEFLATE4),
    NUM(DAOS_PROP_CO_ENCRYPT, PF_CREATE, DAOS_PROP_CO_ENCRYPT_OFF, 0,
	DAOS_PROP_CO_ENCRYPT_AES_GCM256),
    {.type = DAOS_PROP_CO_OWNER, .kind = PROP_KIND_STR, .flags = PF_CREATE | PF_SET},
    {.type = DAOS_PROP_CO_OWNER_GROUP, .kind = PROP_KIND_STR, .flags = PF_CREATE | PF_SET},
    NUM(DAOS_PROP_CO_DEDUP, PF_CREATE, DAOS_PROP_CO_DEDUP_OFF, 0, DAOS_PROP_CO_DEDUP_HASH),
    NUM(DAOS_PROP_CO_DEDUP_THRESHOLD, PF_CREATE, 4096, 1, UINT32_MAX),
    {.type = DAOS_PROP_CO_ROOTS, .kind = PROP_KIND_BLOB, .flags = PF_CREATE | PF_SET},
    NUM(DAOS_PROP_CO_STATUS, PF_CREATE | PF_SET, 0, 0, UINT64_MAX),
    NUM(DAOS_PROP_CO_ALLOCED_OID, 0, 0, 0, UINT64_MAX),
    {.type = DAOS_PROP_CO_EC_CELL_SZ,
     .kind = PROP_KIND_NUM,
     .flags = PF_CREATE,
     .inherit = DAOS_PROP_PO_EC_CELL_SZ,
     .def = 128 << 10,
     .min = 4 << 10,
     .max = 1 << 20,
     .multiple = 32},
    INHERITED(DAOS_PROP_CO_EC_PDA, DAOS_PROP_PO_EC_PDA, DAOS_PROP_PO_EC_PDA_DEFAULT, 0, UINT32_MAX),
    INHERITED(DAOS_PROP_CO_RP_PDA, DAOS_PROP_PO_RP_PDA, DAOS_PROP_PO_RP_PDA_DEFAULT, 0, UINT32_MAX),
    {.type = DAOS_PROP_CO_GLOBAL_VERSION,
     .kind = PROP_KIND_NUM,
     .inherit = DAOS_PROP_PO_GLOBAL_VERSION,
     .def = 1,
     .max = UINT32_MAX},
    NUM(DAOS_PROP_CO_SCRUBBER_DISABLED, PF_CREATE | PF_SET, 0, 0, 1),
    {.type = DAOS_PROP_CO_OBJ_VERSION,
     .kind = PROP_KIND_NUM,
     .inherit = DAOS_PROP_PO_OBJ_VERSION,
     .def = 1,
     .max = UINT32_MAX},
    INHERITED(DAOS_PROP_CO_PERF_DOMAIN, DAOS_PROP_PO_PERF_DOMAIN, DAOS_PROP_CO_PERF_DOMAIN_DEFAULT,
	      DAOS_PROP_PERF_DOMAIN_GROUP, DAOS_PROP_PERF_DOMAIN_ROOT),
};

enum {
	POOL_DEF_NR = sizeof(pool_defs) / sizeof(pool_defs[0]),
	CONT_DEF_NR = sizeof(cont_defs) / sizeof(cont_defs[0]),
	ROOTS_BYTES = 64,
};

static const struct prop_def *
def_find(uint32_t type, bool is_cont)
{
	const struct prop_def *defs = is_cont ? cont_defs : pool_defs;
	size_t nr = is_cont ? CONT_DEF_NR : POOL_DEF_NR;
	size_t i;

	for (i = 0; i < nr; i++)
		if (defs[i].type == type)
			return &defs[i];
	return NULL;
}

/* --- checking -------------------------------------------------------------------------------- */

static int
check_str(const Mgmt__Prop *prop)
{
	const char *s = prop->str;

	if (s == NULL)
		return -DER_INVAL;
	switch (prop->type) {
	case DAOS_PROP_PO_LABEL:
	case DAOS_PROP_CO_LABEL:
		return daos_label_is_valid(s) ? 0 : -DER_INVAL;
	default: /* owner, group */
		if (s[0] == '\0' || s[0] == '@' || strlen(s) > DAOS_ACL_MAX_PRINCIPAL_LEN ||
		    strchr(s, '@') == NULL)
			return -DER_INVAL;
		return 0;
	}
}

static int
check_status(uint64_t v, enum prop_when when)
{
	struct daos_co_status status;

	daos_prop_val_2_co_status(v, &status);
	/* A user can only declare a container healthy. */
	return status.dcs_status == DAOS_PROP_CO_HEALTHY ? 0 : -DER_INVAL;
}

int
prop_check(const Mgmt__Prop *prop, bool is_cont, enum prop_when when)
{
	const struct prop_def *def = def_find(prop->type, is_cont);

	if (def == NULL || def->kind != prop->kind)
		return -DER_INVAL;
	if ((def->flags & (when == PROP_AT_CREATE ? PF_CREATE : PF_SET)) == 0)
		return -DER_INVAL;
	switch (def->kind) {
	case PROP_KIND_STR:
		return check_str(prop);
	case PROP_KIND_BLOB:
		if (prop->type == DAOS_PROP_CO_ROOTS)
			return prop->blob.len == ROOTS_BYTES ? 0 : -DER_INVAL;
		return access_acl_check(prop->blob.data, prop->blob.len);
	default:
		if (prop->num < def->min || prop->num > def->max ||
		    (def->multiple != 0 && prop->num % def->multiple != 0))
			return -DER_INVAL;
		if (prop->type == DAOS_PROP_CO_STATUS)
			return check_status(prop->num, when);
		return 0;
	}
}

int
prop_check_all(Mgmt__Prop *const *props, size_t nr, bool is_cont, enum prop_when when)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		int rc = prop_check(props[i], is_cont, when);

		if (rc != 0)
			return rc;
		if (prop_find(props, i, props[i]->type) != NULL)
			return -DER_INVAL; /* twice */
	}
	return 0;
}

/* --- lists ----------------------------------------------------------------------------------- */

Mgmt__PropGetRep *
prop_unpack(const struct blob *list)
{
	return mgmt__prop_get_rep__unpack(NULL, list->len, list->data);
}

const Mgmt__Prop *
prop_find(Mgmt__Prop *const *props, size_t nr, uint32_t type)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (props[i]->type == type)
			return props[i];
	return NULL;
}

static int
cmp_type(const void *a, const void *b)
{
	const Mgmt__Prop *x = *(Mgmt__Prop *const *)a;
	const Mgmt__Prop *y = *(Mgmt__Prop *const *)b;

	return x->type < y->type ? -1 : x->type > y->type;
}

static int
list_pack(Mgmt__Prop **props, size_t nr, struct blob *list)
{
	Mgmt__PropGetRep rep = MGMT__PROP_GET_REP__INIT;
	uint8_t *buf;
	size_t len;

	qsort(props, nr, sizeof(*props), cmp_type);
	rep.n_props = nr;
	rep.props = props;
	len = mgmt__prop_get_rep__get_packed_size(&rep);
	buf = mem_alloc(len != 0 ? len : 1);
	if (buf == NULL)
		return -DER_NOMEM;
	mgmt__prop_get_rep__pack(&rep, buf);
	free(list->data);
	list->data = buf;
	list->len = len;
	return 0;
}

int
prop_merge(struct blob *list, Mgmt__Prop *const *props, size_t nr)
{
	Mgmt__PropGetRep *rep = prop_unpack(list);
	CLEANUP(freep)
	Mgmt__Prop **all = NULL;
	size_t all_nr = 0;
	size_t i;
	int rc;

	if (rep == NULL)
		return -DER_NOMEM;
	all = mem_calloc(rep->n_props + nr + 1, sizeof(*all));
	if (all == NULL) {
		mgmt__prop_get_rep__free_unpacked(rep, NULL);
		return -DER_NOMEM;
	}
	for (i = 0; i < rep->n_props; i++)
		if (prop_find(props, nr, rep->props[i]->type) == NULL)
			all[all_nr++] = rep->props[i];
	for (i = 0; i < nr; i++)
		all[all_nr++] = props[i];
	rc = list_pack(all, all_nr, list);
	mgmt__prop_get_rep__free_unpacked(rep, NULL);
	return rc;
}

int
prop_set_num(struct blob *list, uint32_t type, uint64_t v)
{
	Mgmt__Prop p = MGMT__PROP__INIT;
	Mgmt__Prop *ptr = &p;

	p.type = type;
	p.kind = PROP_KIND_NUM;
	p.num = v;
	return prop_merge(list, &ptr, 1);
}

int
prop_set_str(struct blob *list, uint32_t type, const char *v)
{
	Mgmt__Prop p = MGMT__PROP__INIT;
	Mgmt__Prop *ptr = &p;

	p.type = type;
	p.kind = PROP_KIND_STR;
	p.str = (char *)v;
	return prop_merge(list, &ptr, 1);
}

uint64_t
prop_num(const struct blob *list, uint32_t type, uint64_t otherwise)
{
	Mgmt__PropGetRep *rep = prop_unpack(list);
	const Mgmt__Prop *p;

	if (rep == NULL)
		return otherwise;
	p = prop_find(rep->props, rep->n_props, type);
	if (p != NULL && p->kind == PROP_KIND_NUM)
		otherwise = p->num;
	mgmt__prop_get_rep__free_unpacked(rep, NULL);
	return otherwise;
}

/* The ACL of what was created without one, as it lies in memory. */
static size_t
default_acl(bool is_cont, uint8_t buf[sizeof(struct daos_acl) + 2 * sizeof(struct daos_ace)])
{
	static const uint64_t cont_group = DAOS_ACL_PERM_READ | DAOS_ACL_PERM_WRITE |
					   DAOS_ACL_PERM_GET_PROP | DAOS_ACL_PERM_SET_PROP;
	struct daos_acl acl = {.dal_ver = DAOS_ACL_VERSION, .dal_len = 2 * sizeof(struct daos_ace)};
	struct daos_ace ace[2] = {
	    {
		.dae_access_types = DAOS_ACL_ACCESS_ALLOW,
		.dae_principal_type = DAOS_ACL_OWNER,
		.dae_allow_perms =
		    is_cont ? DAOS_ACL_PERM_CONT_ALL : DAOS_ACL_PERM_READ | DAOS_ACL_PERM_WRITE,
	    },
	    {
		.dae_access_types = DAOS_ACL_ACCESS_ALLOW,
		.dae_principal_type = DAOS_ACL_OWNER_GROUP,
		.dae_access_flags = DAOS_ACL_FLAG_GROUP,
		.dae_allow_perms = is_cont ? cont_group : DAOS_ACL_PERM_READ | DAOS_ACL_PERM_WRITE,
	    },
	};

	memcpy(buf, &acl, sizeof(acl));
	memcpy(buf + sizeof(acl), ace, sizeof(ace));
	return sizeof(acl) + sizeof(ace);
}

int
prop_complete(Mgmt__Prop *const *given, size_t nr, bool is_cont, const struct blob *from,
	      struct blob *ret_list)
{
	const struct prop_def *defs = is_cont ? cont_defs : pool_defs;
	size_t def_nr = is_cont ? CONT_DEF_NR : POOL_DEF_NR;
	Mgmt__PropGetRep *pool = from != NULL ? prop_unpack(from) : NULL;
	uint8_t acl[sizeof(struct daos_acl) + 2 * sizeof(struct daos_ace)];
	Mgmt__Prop made[POOL_DEF_NR + CONT_DEF_NR];
	Mgmt__Prop *all[POOL_DEF_NR + CONT_DEF_NR];
	size_t all_nr = 0;
	size_t i;
	int rc;

	if (from != NULL && pool == NULL)
		return -DER_NOMEM;
	for (i = 0; i < def_nr; i++) {
		const struct prop_def *def = &defs[i];
		const Mgmt__Prop *p = prop_find(given, nr, def->type);

		if (p == NULL && def->inherit != 0 && pool != NULL)
			p = prop_find(pool->props, pool->n_props, def->inherit);
		mgmt__prop__init(&made[all_nr]);
		if (p != NULL)
			made[all_nr] = *p;
		made[all_nr].type = def->type;
		made[all_nr].kind = def->kind;
		if (p == NULL) {
			switch (def->kind) {
			case PROP_KIND_NUM:
				made[all_nr].num = def->def;
				break;
			case PROP_KIND_BLOB:
				if (def->type == DAOS_PROP_CO_ROOTS)
					continue; /* unset until somebody sets it */
				made[all_nr].blob.data = acl;
				made[all_nr].blob.len = default_acl(is_cont, acl);
				break;
			default:
				continue;
			}
		}
		all[all_nr] = &made[all_nr];
		all_nr++;
	}
	rc = list_pack(all, all_nr, ret_list);
	if (pool != NULL)
		mgmt__prop_get_rep__free_unpacked(pool, NULL);
	return rc;
}
