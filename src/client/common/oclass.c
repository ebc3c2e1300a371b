/*
 * Object class names and automatic choice.
 *
 * The registered names are a product: each redundancy of the first table with each group number of
 * the second, less the combinations that have no name (erasure code over six groups), plus one old
 * alias. Nothing is stored per name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/common/oclass.h"

struct redun_row {
	enum daos_obj_redun code;
	const char *prefix; /* the name up to the number of groups */
	uint16_t data_nr;   /* copies, or data cells */
	uint16_t parity_nr; /* 0: replication */
	bool named;         /* its classes have registered names */
};

static const struct redun_row redun_rows[] = {
    {OR_RP_1, "S", 1, 0, true},
    {OR_RP_2, "RP_2G", 2, 0, true},
    {OR_RP_3, "RP_3G", 3, 0, true},
    {OR_RP_4, "RP_4G", 4, 0, true},
    {OR_RP_5, "RP_5G", 5, 0, true},
    {OR_RP_6, "RP_6G", 6, 0, true},
    {OR_RS_2P1, "EC_2P1G", 2, 1, true},
    {OR_RS_2P2, "EC_2P2G", 2, 2, true},
    {OR_RS_4P1, "EC_4P1G", 4, 1, true},
    {OR_RS_4P2, "EC_4P2G", 4, 2, true},
    {OR_RS_4P3, "EC_4P3G", 4, 3, true},
    {OR_RS_8P1, "EC_8P1G", 8, 1, true},
    {OR_RS_8P2, "EC_8P2G", 8, 2, true},
    {OR_RS_8P3, "EC_8P3G", 8, 3, true},
    {OR_RS_16P1, "EC_16P1G", 16, 1, true},
    {OR_RS_16P2, "EC_16P2G", 16, 2, true},
    {OR_RS_16P3, "EC_16P3G", 16, 3, true},
    {OR_RP_8, "RP_8G", 8, 0, false},
    {OR_RP_12, "RP_12G", 12, 0, false},
    {OR_RP_16, "RP_16G", 16, 0, false},
    {OR_RP_24, "RP_24G", 24, 0, false},
    {OR_RP_32, "RP_32G", 32, 0, false},
    {OR_RP_48, "RP_48G", 48, 0, false},
    {OR_RP_64, "RP_64G", 64, 0, false},
    {OR_RP_128, "RP_128G", 128, 0, false},
};

#define REDUN_NR (sizeof(redun_rows) / sizeof(redun_rows[0]))

static const uint16_t group_nrs[] = {1, 2, 4, 6, 8, 12, 16, 32, MAX_NUM_GROUPS};

#define GROUP_NR (sizeof(group_nrs) / sizeof(group_nrs[0]))

/* An alias of early versions that still has a name. */
#define XSF_NAME "RP_XSF"

static daos_oclass_id_t
cid_make(const struct redun_row *row, uint32_t group_nr)
{
	return ((daos_oclass_id_t)row->code << OC_REDUN_SHIFT) | group_nr;
}

static const struct redun_row *
row_of(daos_oclass_id_t cid)
{
	size_t i;

	if ((cid & MAX_NUM_GROUPS) == 0 || (cid >> 16 & 0xff) != 0)
		return NULL;
	for (i = 0; i < REDUN_NR; i++)
		if (redun_rows[i].code == (enum daos_obj_redun)(cid >> OC_REDUN_SHIFT))
			return &redun_rows[i];
	return NULL;
}

static bool
has_name(const struct redun_row *row, uint32_t group_nr)
{
	return row->named && !(row->parity_nr > 0 && group_nr == 6);
}

static void
name_make(const struct redun_row *row, uint32_t group_nr, char name[MAX_OBJ_CLASS_NAME_LEN])
{
	if (group_nr == MAX_NUM_GROUPS)
		snprintf(name, MAX_OBJ_CLASS_NAME_LEN, "%sX", row->prefix);
	else
		snprintf(name, MAX_OBJ_CLASS_NAME_LEN, "%s%u", row->prefix, group_nr);
}

daos_oclass_id_t
oclass_from_name(const char *name)
{
	char made[MAX_OBJ_CLASS_NAME_LEN];
	size_t i;
	size_t j;

	if (name == NULL)
		return OC_UNKNOWN;
	if (strcmp(name, XSF_NAME) == 0)
		return OC_RP_XSF;
	for (i = 0; i < REDUN_NR; i++) {
		if (strncmp(name, redun_rows[i].prefix, strlen(redun_rows[i].prefix)) != 0)
			continue;
		for (j = 0; j < GROUP_NR; j++) {
			if (!has_name(&redun_rows[i], group_nrs[j]))
				continue;
			name_make(&redun_rows[i], group_nrs[j], made);
			if (strcmp(name, made) == 0)
				return cid_make(&redun_rows[i], group_nrs[j]);
		}
	}
	return OC_UNKNOWN;
}

int
oclass_to_name(daos_oclass_id_t cid, char name[MAX_OBJ_CLASS_NAME_LEN])
{
	const struct redun_row *row = row_of(cid);

	if (cid == OC_RP_XSF) {
		strcpy(name, XSF_NAME);
		return 0;
	}
	if (row == NULL) {
		strcpy(name, "UNKNOWN");
		return -1;
	}
	name_make(row, cid & MAX_NUM_GROUPS, name);
	return 0;
}

ssize_t
oclass_names(size_t size, char *str)
{
	char name[MAX_OBJ_CLASS_NAME_LEN];
	size_t len = 0;
	size_t i;
	size_t j;

	if (size == 0 || str == NULL)
		return -DER_INVAL;
	str[0] = '\0';
	for (i = 0; i <= REDUN_NR; i++)
		for (j = 0; j < GROUP_NR; j++) {
			if (i == REDUN_NR) {
				strcpy(name, XSF_NAME);
				j = GROUP_NR - 1;
			} else if (has_name(&redun_rows[i], group_nrs[j])) {
				name_make(&redun_rows[i], group_nrs[j], name);
			} else {
				continue;
			}
			if (len + strlen(name) + 2 >= size)
				return -DER_OVERFLOW;
			len += (size_t)sprintf(str + len, "%s, ", name);
		}
	return (ssize_t)len;
}

int
oclass_names_nr(void)
{
	int nr = 1; /* the alias */
	size_t i;
	size_t j;

	for (i = 0; i < REDUN_NR; i++)
		for (j = 0; j < GROUP_NR; j++)
			nr += has_name(&redun_rows[i], group_nrs[j]);
	return nr;
}

uint32_t
oclass_group_size(daos_oclass_id_t cid)
{
	const struct redun_row *row = row_of(cid);

	return row == NULL ? 0 : (uint32_t)row->data_nr + row->parity_nr;
}

int
oclass_attr(daos_oclass_id_t cid, struct daos_oclass_attr *ret_attr)
{
	const struct redun_row *row = row_of(cid);
	struct daos_oclass_attr attr = {0};

	if (row == NULL)
		return -DER_INVAL;
	attr.ca_grp_nr = cid & MAX_NUM_GROUPS;
	attr.ca_schema = attr.ca_grp_nr == 1 ? DAOS_OS_SINGLE : DAOS_OS_STRIPED;
	if (row->parity_nr == 0) {
		attr.ca_resil = DAOS_RES_REPL;
		attr.ca_resil_degree = row->data_nr - 1u;
		attr.u.rp.r_num = row->data_nr;
	} else {
		attr.ca_resil = DAOS_RES_EC;
		attr.ca_resil_degree = row->parity_nr;
		attr.u.ec.e_k = row->data_nr;
		attr.u.ec.e_p = row->parity_nr;
	}
	*ret_attr = attr;
	return 0;
}

/* The widest erasure code for a factor: the first row that the domains suffice for. */
static const struct ec_row {
	uint32_t rd_fac;
	uint32_t domain_nr;
	enum daos_obj_redun code;
} ec_rows[] = {
    {1, 18, OR_RS_16P1}, {1, 10, OR_RS_8P1}, {1, 6, OR_RS_4P1},  {1, 3, OR_RS_2P1},
    {2, 20, OR_RS_16P2}, {2, 12, OR_RS_8P2}, {2, 8, OR_RS_4P2},  {2, 4, OR_RS_2P2},
    {3, 22, OR_RS_16P3}, {3, 14, OR_RS_8P3}, {3, 10, OR_RS_4P3},
};

static enum daos_obj_redun
ec_choose(uint32_t rd_fac, uint32_t domain_nr)
{
	size_t i;

	for (i = 0; i < sizeof(ec_rows) / sizeof(ec_rows[0]); i++)
		if (ec_rows[i].rd_fac == rd_fac && domain_nr >= ec_rows[i].domain_nr)
			return ec_rows[i].code;
	return (enum daos_obj_redun)OC_UNKNOWN;
}

static int
redun_choose(const struct oclass_env *env, enum daos_otype_t type, uint32_t rdd,
	     enum daos_obj_redun *ret_code)
{
	static const enum daos_obj_redun copies[] = {OR_RP_1, OR_RP_2, OR_RP_3, OR_RP_4, OR_RP_5};
	enum daos_obj_redun code = (enum daos_obj_redun)OC_UNKNOWN;
	bool want_ec;

	if (env->rd_fac > DAOS_RF_MAX || (rdd & (rdd - 1)) != 0)
		return -DER_INVAL;
	if (env->rd_fac == 0) {
		/* Hints may ask for more than the container needs, in its weakest form. */
		if (rdd == DAOS_OCH_RDD_EC)
			code = env->domain_nr >= 3 ? ec_choose(1, env->domain_nr) : OR_RS_2P1;
		else
			code = rdd == DAOS_OCH_RDD_RP && env->domain_nr >= 2 ? OR_RP_2 : OR_RP_1;
		*ret_code = code;
		return 0;
	}
	want_ec = rdd == DAOS_OCH_RDD_EC ||
		  ((rdd == 0 || rdd == DAOS_OCH_RDD_DEF) && daos_is_array_type(type));
	if (want_ec)
		code = ec_choose(env->rd_fac, env->domain_nr);
	*ret_code = code != (enum daos_obj_redun)OC_UNKNOWN ? code : copies[env->rd_fac];
	return 0;
}

/* Groups by hint: a floor, or a share of the targets. */
static const struct shd_row {
	uint32_t hint;
	uint32_t floor_nr;
	uint32_t percent;
} shd_rows[] = {
    {DAOS_OCH_SHD_TINY, 1, 0},    {DAOS_OCH_SHD_REG, 128, 25},           {DAOS_OCH_SHD_HI, 256, 50},
    {DAOS_OCH_SHD_EXT, 1024, 70}, {DAOS_OCH_SHD_MAX, MAX_NUM_GROUPS, 0},
};

static int
groups_choose(const struct oclass_env *env, enum daos_otype_t type, uint32_t shd,
	      uint32_t *ret_group_nr)
{
	uint32_t share;
	size_t i;

	if (shd == 0 || shd == DAOS_OCH_SHD_DEF) {
		*ret_group_nr =
		    daos_is_array_type(type) || daos_is_kv_type(type) ? MAX_NUM_GROUPS : 1;
		return 0;
	}
	for (i = 0; i < sizeof(shd_rows) / sizeof(shd_rows[0]); i++) {
		if (shd_rows[i].hint != shd)
			continue;
		share = (uint32_t)((uint64_t)env->target_nr * shd_rows[i].percent / 100);
		*ret_group_nr = share > shd_rows[i].floor_nr ? share : shd_rows[i].floor_nr;
		return 0;
	}
	return -DER_INVAL;
}

int
oclass_choose(const struct oclass_env *env, enum daos_otype_t type, daos_oclass_hints_t hints,
	      daos_oclass_id_t *ret_cid)
{
	enum daos_obj_redun code = (enum daos_obj_redun)OC_UNKNOWN;
	uint32_t group_nr = 0;
	uint32_t size;
	int rc;

	rc = redun_choose(env, type, hints & DAOS_OCH_RDD_MASK, &code);
	if (rc == 0)
		rc = groups_choose(env, type, hints & DAOS_OCH_SHD_MASK, &group_nr);
	if (rc != 0)
		return rc;
	size = oclass_group_size(((daos_oclass_id_t)code << OC_REDUN_SHIFT) | 1);
	if (size > env->domain_nr)
		return -DER_INVAL;
	if ((uint64_t)group_nr * size > env->target_nr && group_nr > 1)
		group_nr = MAX_NUM_GROUPS;
	if (group_nr > MAX_NUM_GROUPS)
		group_nr = MAX_NUM_GROUPS;
	*ret_cid = ((daos_oclass_id_t)code << OC_REDUN_SHIFT) | group_nr;
	return 0;
}
