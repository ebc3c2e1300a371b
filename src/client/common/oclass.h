/*
 * Names of object classes and the choice of a class by rules. Pure tables and arithmetic; shapes in
 * a given pool are cluster/map's matter.
 */
#ifndef CLIENT_COMMON_OCLASS_H
#define CLIENT_COMMON_OCLASS_H

#include <sys/types.h>

#include <daos_obj.h>
#include <daos_obj_class.h>

/* Class id of a registered name, exactly as written; 0 if there is none. */
daos_oclass_id_t oclass_from_name(const char *name);

/* As daos_oclass_id2name(): 0, or -1 and "UNKNOWN". */
int oclass_to_name(daos_oclass_id_t cid, char name[MAX_OBJ_CLASS_NAME_LEN]);

/* As daos_oclass_names_list() and daos_oclass_nr(). */
ssize_t oclass_names(size_t size, char *str);
int oclass_names_nr(void);

/*
 * Take a class apart. ca_grp_nr is MAX_NUM_GROUPS for X; e_len is 0 (the container's). -DER_INVAL
 * for an id that is no class.
 */
int oclass_attr(daos_oclass_id_t cid, struct daos_oclass_attr *ret_attr);

/* Shards of one redundancy group; 0 for an id that is no class. */
uint32_t oclass_group_size(daos_oclass_id_t cid);

/* What the choice depends on. */
struct oclass_env {
	uint32_t rd_fac;    /* failures the container must survive */
	uint32_t domain_nr; /* fault domains at the container's redundancy level */
	uint32_t target_nr; /* targets of the pool */
};

/*
 * Class for an object of which the user gave none: redundancy by rd_fac, type and hints, spread by
 * type and hints. The result has the X marker when as many groups are wanted as there is room for.
 * -DER_INVAL when the pool has too few domains, or for hints that contradict each other.
 */
int oclass_choose(const struct oclass_env *env, enum daos_otype_t type, daos_oclass_hints_t hints,
		  daos_oclass_id_t *ret_cid);

#endif
