/*
 * What is known about a container: query, properties, access, object id allocation.
 */
#define LOG_FACILITY "cont"

#include <stdlib.h>
#include <string.h>

#include "client/common/acl_eval.h"
#include "client/cont/cont.h"
#include "client/cont/cont_internal.h"
#include "client/core/prop_msg.h"
#include "client/event/event.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "proto/opcodes.h"

/* --- query --- */

static int co_fn
cont_query(struct op *op, struct cont *cont, daos_cont_info_t *info, daos_prop_t *prop)
{
	Mgmt__ContQueryReq req = MGMT__CONT_QUERY_REQ__INIT;
	Mgmt__ContQueryRep *rep = NULL;
	int rc;

	req.pool.data = cont->pool->uuid;
	req.pool.len = sizeof(uuid_t);
	req.cont_handle.data = cont->handle;
	req.cont_handle.len = sizeof(uuid_t);
	rc = op_ms_call(op, OPC_MS_CONT_QUERY, &req.base, &mgmt__cont_query_rep__descriptor,
			(ProtobufCMessage **)&rep);
	if (rc != 0)
		return rc;
	if (info != NULL && rep->info == NULL)
		rc = -DER_PROTO;
	if (rc == 0 && prop != NULL)
		rc = prop_from_msgs(prop, rep->props, rep->n_props);
	if (rc == 0 && info != NULL)
		cont_info_from_msg(rep->info, info);
	mgmt__cont_query_rep__free_unpacked(rep, NULL);
	return rc;
}

struct query_args {
	daos_handle_t coh;
	daos_cont_info_t *info;
	daos_prop_t *prop;
};

static int co_fn
cont_query_op(struct op *op, void *arg)
{
	struct query_args *args = arg;
	struct cont *cont = cont_hdl_get(op->ctx->client, args->coh);
	int rc;

	if (cont == NULL)
		return -DER_NO_HDL;
	rc = cont_query(op, cont, args->info, args->prop);
	cont_hdl_put(op->ctx->client, args->coh);
	return rc;
}

int
daos_cont_query(daos_handle_t coh, daos_cont_info_t *info, daos_prop_t *cont_prop, daos_event_t *ev)
{
	struct query_args args = {.coh = coh, .info = info, .prop = cont_prop};

	return op_run(ev, cont_query_op, &args, sizeof(args));
}

/* --- properties --- */

static int co_fn
cont_set_props(struct op *op, struct cont *cont, Mgmt__Prop **props, size_t nr)
{
	Mgmt__PropSetReq req = MGMT__PROP_SET_REQ__INIT;
	struct ms_conn *ms;
	struct ms_cmd cmd;
	int rc = ctx_ms(op->ctx, &ms);

	if (rc != 0)
		return rc;
	req.pool = cont->pool->uuid_str;
	req.cont = cont->uuid_str;
	req.pool_handle.data = cont->pool->handle;
	req.pool_handle.len = sizeof(uuid_t);
	req.cont_handle.data = cont->handle;
	req.cont_handle.len = sizeof(uuid_t);
	req.props = props;
	req.n_props = nr;
	ms_cmd_begin(ms, &cmd);
	req.id = &cmd.id;
	rc = op_ms_call(op, OPC_MS_CONT_SET_PROP, &req.base, NULL, NULL);
	ms_cmd_end(&cmd);
	return rc;
}

struct set_prop_args {
	daos_handle_t coh;
	Mgmt__Prop **props;
	size_t nr;
};

static int co_fn
cont_set_prop_op(struct op *op, void *arg)
{
	struct set_prop_args *args = arg;
	struct cont *cont = cont_hdl_get(op->ctx->client, args->coh);
	int rc = -DER_NO_HDL;

	if (cont != NULL) {
		rc = cont_set_props(op, cont, args->props, args->nr);
		cont_hdl_put(op->ctx->client, args->coh);
	}
	prop_msgs_free(args->props, args->nr);
	return rc;
}

static int
set_prop_run(daos_handle_t coh, daos_prop_t *prop, daos_event_t *ev)
{
	struct set_prop_args args = {.coh = coh};
	int rc;

	if (client_default() == NULL)
		return -DER_UNINIT;
	rc = prop_to_msgs(prop, &args.props, &args.nr);
	if (rc != 0)
		return rc;
	rc = op_run(ev, cont_set_prop_op, &args, sizeof(args));
	if (rc != 0 && ev != NULL)
		prop_msgs_free(args.props, args.nr);
	return rc;
}

int
daos_cont_set_prop(daos_handle_t coh, daos_prop_t *prop, daos_event_t *ev)
{
	struct daos_prop_entry *entry;
	struct daos_co_status status;

	if (prop == NULL || prop->dpp_nr == 0)
		return -DER_INVAL;
	entry = daos_prop_entry_get(prop, DAOS_PROP_CO_LABEL);
	if (entry != NULL && !daos_label_is_valid(entry->dpe_str))
		return -DER_INVAL;
	/* Only the system finds a container unclean; users declare it healthy. */
	entry = daos_prop_entry_get(prop, DAOS_PROP_CO_STATUS);
	if (entry != NULL) {
		daos_prop_val_2_co_status(entry->dpe_val, &status);
		if (status.dcs_status != DAOS_PROP_CO_HEALTHY)
			return -DER_INVAL;
	}
	return set_prop_run(coh, prop, ev);
}

int
daos_cont_status_clear(daos_handle_t coh, daos_event_t *ev)
{
	struct daos_prop_entry entry = {
	    .dpe_type = DAOS_PROP_CO_STATUS,
	    .dpe_val = DAOS_PROP_CO_STATUS_VAL(DAOS_PROP_CO_HEALTHY, DAOS_PROP_CO_CLEAR, 0)};
	daos_prop_t prop = {.dpp_nr = 1, .dpp_entries = &entry};

	return set_prop_run(coh, &prop, ev);
}

/* --- access --- */

struct acl_args {
	daos_handle_t coh;
	daos_prop_t **ret_prop;            /* get */
	struct daos_acl *acl;              /* update: entries to add; a copy of ours */
	enum daos_acl_principal_type type; /* delete */
	char *name;                        /* delete; ours */
};

static int co_fn
cont_get_acl(struct op *op, struct cont *cont, daos_prop_t **ret_prop)
{
	daos_prop_t *prop = daos_prop_alloc(3);
	int rc;

	if (prop == NULL)
		return -DER_NOMEM;
	prop->dpp_entries[0].dpe_type = DAOS_PROP_CO_ACL;
	prop->dpp_entries[1].dpe_type = DAOS_PROP_CO_OWNER;
	prop->dpp_entries[2].dpe_type = DAOS_PROP_CO_OWNER_GROUP;
	rc = cont_query(op, cont, NULL, prop);
	if (rc != 0) {
		daos_prop_free(prop);
		return rc;
	}
	*ret_prop = prop;
	return 0;
}

static int co_fn
cont_set_acl(struct op *op, struct cont *cont, struct daos_acl *acl)
{
	struct daos_prop_entry entry = {.dpe_type = DAOS_PROP_CO_ACL, .dpe_val_ptr = acl};
	daos_prop_t prop = {.dpp_nr = 1, .dpp_entries = &entry};
	Mgmt__Prop **msgs;
	size_t nr;
	int rc = prop_to_msgs(&prop, &msgs, &nr);

	if (rc != 0)
		return rc;
	rc = cont_set_props(op, cont, msgs, nr);
	prop_msgs_free(msgs, nr);
	return rc;
}

static int
acl_merge(struct daos_acl **acl, struct daos_acl *more)
{
	struct daos_ace *ace = NULL;
	int rc = 0;

	while (rc == 0 && (ace = daos_acl_get_next_ace(more, ace)) != NULL)
		rc = daos_acl_add_ace(acl, ace);
	return rc;
}

/* Read, change, write back. */
static int co_fn
cont_change_acl(struct op *op, struct cont *cont, const struct acl_args *args)
{
	struct daos_prop_entry *entry;
	daos_prop_t *prop;
	struct daos_acl *acl;
	int rc = cont_get_acl(op, cont, &prop);

	if (rc != 0)
		return rc;
	entry = &prop->dpp_entries[0];
	acl = daos_prop_is_set(entry) ? entry->dpe_val_ptr : daos_acl_create(NULL, 0);
	entry->dpe_val_ptr = NULL;
	if (acl == NULL)
		rc = -DER_NOMEM;
	else if (args->acl != NULL)
		rc = acl_merge(&acl, args->acl);
	else
		rc = daos_acl_remove_ace(&acl, args->type, args->name);
	if (rc == 0)
		rc = cont_set_acl(op, cont, acl);
	daos_acl_free(acl);
	entry->dpe_flags |= DAOS_PROP_ENTRY_NOT_SET;
	daos_prop_free(prop);
	return rc;
}

static int co_fn
cont_acl_op(struct op *op, void *arg)
{
	struct acl_args *args = arg;
	struct cont *cont = cont_hdl_get(op->ctx->client, args->coh);
	int rc = -DER_NO_HDL;

	if (cont != NULL) {
		rc = args->ret_prop != NULL ? cont_get_acl(op, cont, args->ret_prop)
					    : cont_change_acl(op, cont, args);
		cont_hdl_put(op->ctx->client, args->coh);
	}
	daos_acl_free(args->acl);
	free(args->name);
	return rc;
}

static int
acl_run(struct acl_args *args, daos_event_t *ev)
{
	int rc = op_run(ev, cont_acl_op, args, sizeof(*args));

	/* Otherwise the operation has freed them. */
	if (rc == -DER_UNINIT || (rc != 0 && ev != NULL)) {
		daos_acl_free(args->acl);
		free(args->name);
	}
	return rc;
}

int
daos_cont_get_acl(daos_handle_t coh, daos_prop_t **acl_prop, daos_event_t *ev)
{
	struct acl_args args = {.coh = coh, .ret_prop = acl_prop};

	if (acl_prop == NULL)
		return -DER_INVAL;
	return acl_run(&args, ev);
}

int
daos_cont_overwrite_acl(daos_handle_t coh, struct daos_acl *acl, daos_event_t *ev)
{
	struct daos_prop_entry entry = {.dpe_type = DAOS_PROP_CO_ACL, .dpe_val_ptr = acl};
	daos_prop_t prop = {.dpp_nr = 1, .dpp_entries = &entry};

	if (acl == NULL || daos_acl_validate(acl) != 0)
		return -DER_INVAL;
	return set_prop_run(coh, &prop, ev);
}

int
daos_cont_update_acl(daos_handle_t coh, struct daos_acl *acl, daos_event_t *ev)
{
	struct acl_args args = {.coh = coh};

	if (acl == NULL || daos_acl_validate(acl) != 0)
		return -DER_INVAL;
	args.acl = daos_acl_dup(acl);
	if (args.acl == NULL)
		return -DER_NOMEM;
	return acl_run(&args, ev);
}

int
daos_cont_delete_acl(daos_handle_t coh, enum daos_acl_principal_type type, d_string_t name,
		     daos_event_t *ev)
{
	struct acl_args args = {.coh = coh, .type = type};

	if (name != NULL && name[0] != '\0') {
		args.name = mem_strdup(name);
		if (args.name == NULL)
			return -DER_NOMEM;
	}
	return acl_run(&args, ev);
}

int
daos_cont_set_owner_no_check(daos_handle_t coh, d_string_t user, d_string_t group, daos_event_t *ev)
{
	struct daos_prop_entry entries[2] = {{0}};
	daos_prop_t prop = {.dpp_entries = entries};

	if ((user == NULL && group == NULL) ||
	    (user != NULL && !daos_acl_principal_is_valid(user)) ||
	    (group != NULL && !daos_acl_principal_is_valid(group)))
		return -DER_INVAL;
	if (user != NULL) {
		entries[prop.dpp_nr].dpe_type = DAOS_PROP_CO_OWNER;
		entries[prop.dpp_nr++].dpe_str = user;
	}
	if (group != NULL) {
		entries[prop.dpp_nr].dpe_type = DAOS_PROP_CO_OWNER_GROUP;
		entries[prop.dpp_nr++].dpe_str = group;
	}
	return set_prop_run(coh, &prop, ev);
}

int
daos_cont_set_owner(daos_handle_t coh, d_string_t user, d_string_t group, daos_event_t *ev)
{
	uid_t uid;
	gid_t gid;
	int rc = 0;

	if (user != NULL)
		rc = daos_acl_principal_to_uid(user, &uid);
	if (rc == 0 && group != NULL)
		rc = daos_acl_principal_to_gid(group, &gid);
	return rc != 0 ? rc : daos_cont_set_owner_no_check(coh, user, group, ev);
}

/* --- permissions of somebody --- */

struct who {
	struct acl_who who;
	char *user;
	char **groups;
	size_t group_nr;
};

static void
who_fini(struct who *w)
{
	size_t i;

	for (i = 0; i < w->group_nr; i++)
		free(w->groups[i]);
	free(w->groups);
	free(w->user);
}

static int
who_init(struct who *w, uid_t uid, const gid_t *gids, size_t nr)
{
	size_t i;
	int rc;

	rc = daos_acl_uid_to_principal(uid, &w->user);
	if (rc != 0)
		return rc;
	w->groups = mem_calloc(nr + 1, sizeof(*w->groups));
	if (w->groups == NULL)
		return -DER_NOMEM;
	for (i = 0; i < nr; i++) {
		rc = daos_acl_gid_to_principal(gids[i], &w->groups[i]);
		if (rc != 0)
			return rc;
		w->group_nr++;
	}
	w->who.user = w->user;
	w->who.groups = (const char *const *)w->groups;
	w->who.group_nr = w->group_nr;
	return 0;
}

static int
get_perms(daos_prop_t *prop, uint32_t acl_type, uint32_t owner_type, uint32_t group_type,
	  uint64_t (*eval)(const struct daos_acl *, const char *, const char *,
			   const struct acl_who *),
	  uid_t uid, const gid_t *gids, size_t nr, uint64_t *perms)
{
	struct daos_prop_entry *acl, *owner, *group;
	CLEANUP(who_fini)
	struct who w = {0};
	int rc;

	if (prop == NULL || perms == NULL || (gids == NULL && nr > 0))
		return -DER_INVAL;
	acl = daos_prop_entry_get(prop, acl_type);
	owner = daos_prop_entry_get(prop, owner_type);
	group = daos_prop_entry_get(prop, group_type);
	if (acl == NULL || owner == NULL || group == NULL || owner->dpe_str == NULL ||
	    group->dpe_str == NULL)
		return -DER_INVAL;
	if (acl->dpe_val_ptr != NULL && daos_acl_validate(acl->dpe_val_ptr) != 0)
		return -DER_INVAL;
	rc = who_init(&w, uid, gids, nr);
	if (rc != 0)
		return rc;
	*perms = eval(acl->dpe_val_ptr, owner->dpe_str, group->dpe_str, &w.who);
	return 0;
}

int
daos_cont_get_perms(daos_prop_t *cont_prop, uid_t uid, gid_t *gids, size_t nr_gids, uint64_t *perms)
{
	return get_perms(cont_prop, DAOS_PROP_CO_ACL, DAOS_PROP_CO_OWNER, DAOS_PROP_CO_OWNER_GROUP,
			 acl_cont_perms, uid, gids, nr_gids, perms);
}

int
daos_pool_get_perms(daos_prop_t *pool_prop, uid_t uid, gid_t *gids, size_t nr_gids, uint64_t *perms)
{
	return get_perms(pool_prop, DAOS_PROP_PO_ACL, DAOS_PROP_PO_OWNER, DAOS_PROP_PO_OWNER_GROUP,
			 acl_pool_perms, uid, gids, nr_gids, perms);
}

/* --- object ids --- */

struct oids_args {
	daos_handle_t coh;
	daos_size_t nr;
	uint64_t *first;
};

static int co_fn
cont_alloc_oids_op(struct op *op, void *arg)
{
	struct oids_args *args = arg;
	Mgmt__ContAllocOidsReq req = MGMT__CONT_ALLOC_OIDS_REQ__INIT;
	Mgmt__ContAllocOidsRep *rep = NULL;
	struct ms_conn *ms;
	struct ms_cmd cmd;
	struct cont *cont;
	int rc = ctx_ms(op->ctx, &ms);

	if (rc != 0)
		return rc;
	cont = cont_hdl_get(op->ctx->client, args->coh);
	if (cont == NULL)
		return -DER_NO_HDL;
	req.pool.data = cont->pool->uuid;
	req.pool.len = sizeof(uuid_t);
	req.cont_handle.data = cont->handle;
	req.cont_handle.len = sizeof(uuid_t);
	req.nr = args->nr;
	ms_cmd_begin(ms, &cmd);
	req.id = &cmd.id;
	rc = op_ms_call(op, OPC_MS_CONT_ALLOC_OIDS, &req.base,
			&mgmt__cont_alloc_oids_rep__descriptor, (ProtobufCMessage **)&rep);
	ms_cmd_end(&cmd);
	if (rc == 0) {
		*args->first = rep->first;
		mgmt__cont_alloc_oids_rep__free_unpacked(rep, NULL);
	}
	cont_hdl_put(op->ctx->client, args->coh);
	return rc;
}

int
daos_cont_alloc_oids(daos_handle_t coh, daos_size_t num_oids, uint64_t *oid, daos_event_t *ev)
{
	struct oids_args args = {.coh = coh, .nr = num_oids, .first = oid};

	if (num_oids == 0 || oid == NULL)
		return -DER_INVAL;
	return op_run(ev, cont_alloc_oids_op, &args, sizeof(args));
}
