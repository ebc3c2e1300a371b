/*
 * Object ids and classes.
 *
 * The library's part of an id says type, redundancy and number of groups, so that nothing but the
 * id is needed to find an object again. Therefore "as many groups as there is room for" is resolved
 * here, by the pool of today.
 */
#define LOG_FACILITY "object"

#include <stdlib.h>

#include "client/common/oclass.h"
#include "client/event/event.h"
#include "client/object/obj.h"
#include "base/err.h"
#include "base/log.h"

/* The part of a class id that counts groups. */
#define CLASS_GROUPS ((daos_oclass_id_t)MAX_NUM_GROUPS)

/* Targets to leave out of the count, from the environment; 0 = by the rule. */
static uint32_t
gx_reserved(void)
{
	const char *env = getenv("D_GX_RESERVED");

	return env == NULL ? 0 : (uint32_t)strtoul(env, NULL, 10);
}

/* A class that this pool can hold, with its groups counted. */
static int
oid_class(const struct cont *cont, const struct pool_map *map, enum daos_otype_t type,
	  daos_oclass_hints_t hints, daos_oclass_id_t *cid)
{
	bool rank_level = cont->redun_lvl == DAOS_PROP_CO_REDUN_RANK;
	struct oclass_env env = {
	    .rd_fac = cont->redun_fac,
	    .domain_nr = pool_map_member_domain_nr(map, rank_level),
	    .target_nr = pool_map_member_nr(map),
	};
	struct oclass_shape shape;
	uint32_t group_nr;
	int rc;

	if (*cid == OC_UNKNOWN) {
		rc = oclass_choose(&env, type, hints, cid);
		if (rc != 0)
			return rc;
	}
	if ((*cid & CLASS_GROUPS) == MAX_NUM_GROUPS) {
		rc = oclass_max_groups(map, *cid, rank_level, cont->redun_fac, gx_reserved(),
				       &group_nr);
		if (rc != 0)
			return rc;
		*cid = (*cid & ~CLASS_GROUPS) | group_nr;
	}
	return oclass_shape(map, *cid, rank_level, &shape);
}

int
daos_obj_generate_oid2(daos_handle_t coh, daos_obj_id_t *oid, enum daos_otype_t type,
		       daos_oclass_id_t cid, daos_oclass_hints_t hints, uint32_t args)
{
	struct client *client = client_default();
	daos_oclass_id_t wanted = cid;
	struct pool_map *map;
	struct cont *cont;
	int rc;

	if (client == NULL)
		return -DER_UNINIT;
	if (oid == NULL || !daos_otype_t_is_valid(type) || (oid->hi >> OID_FMT_INTR_BITS) != 0)
		return -DER_INVAL;
	cont = cont_hdl_get(client, coh);
	if (cont == NULL)
		return -DER_NO_HDL;
	map = pool_cur_map(cont->pool);
	rc = oid_class(cont, map, type, hints, &cid);
	if (rc == 0)
		oid->hi |= ((uint64_t)type << OID_FMT_TYPE_SHIFT) |
			   ((uint64_t)(cid >> OC_REDUN_SHIFT) << OID_FMT_CLASS_SHIFT) |
			   ((uint64_t)(cid & CLASS_GROUPS) << OID_FMT_META_SHIFT);
	else
		log_err("class 0x%x does not fit this pool (%u targets): " ERR_F, wanted,
			pool_map_member_nr(map), ERR_P(rc));
	pool_map_put(map);
	cont_hdl_put(client, coh);
	return rc;
}

#undef daos_obj_generate_oid
__attribute__((weak, alias("daos_obj_generate_oid2"), visibility("default"))) int
daos_obj_generate_oid(daos_handle_t coh, daos_obj_id_t *oid, enum daos_otype_t type,
		      daos_oclass_id_t cid, daos_oclass_hints_t hints, uint32_t args);

/* --- classes --- */

int
daos_oclass_name2id(const char *name)
{
	return name == NULL ? OC_UNKNOWN : (int)oclass_from_name(name);
}

int
daos_oclass_id2name(daos_oclass_id_t oc_id, char *name)
{
	return oclass_to_name(oc_id, name);
}

ssize_t
daos_oclass_names_list(size_t size, char *str)
{
	return oclass_names(size, str);
}

int
daos_oclass_nr(int opts)
{
	return oclass_names_nr();
}

/* There are no classes but the registered ones, and nobody can add to them. */

int
daos_obj_register_class(daos_handle_t coh, daos_oclass_id_t cid, struct daos_oclass_attr *attr,
			daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_obj_query_class(daos_handle_t coh, daos_oclass_id_t cid, struct daos_oclass_attr *attr,
		     daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}

int
daos_obj_list_class(daos_handle_t coh, struct daos_oclass_list *list, daos_anchor_t *anchor,
		    daos_event_t *ev)
{
	return op_done(ev, -DER_NOSYS);
}
